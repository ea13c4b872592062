"""Lists in chunks."""
from __future__ import annotations

import pytest

from jobs_lib.chunks import chunked


@pytest.mark.parametrize("items, chunks", [
    ([], []),
    ([1, 2], [[1, 2]]),
    ([1, 2, 3], [[1, 2, 3]]),
    ([1, 2, 3, 4], [[1, 2, 3], [4]]),
    (range(7), [[0, 1, 2], [3, 4, 5], [6]]),
    (iter("abcd"), [["a", "b", "c"], ["d"]]),
])
def test_chunks_hold_every_item_once_and_in_order(items, chunks):
    assert list(chunked(items, 3)) == chunks


def test_a_chunk_asks_for_no_item_of_the_next():
    items = iter(range(7))
    assert next(chunked(items, 3)) == [0, 1, 2]
    assert next(items) == 3
