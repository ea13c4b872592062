"""Lists in chunks."""
from __future__ import annotations

import pytest

from jobs_lib.chunks import chunked


@pytest.mark.parametrize("items, chunks", [
    ([], []),
    ([1, 2], [[1, 2]]),
    ([1, 2, 3], [[1, 2, 3]]),
    ([1, 2, 3, 4], [[1, 2, 3], [4]]),
    ("abcdefg", ["abc", "def", "g"]),
])
def test_chunks_hold_every_item_once_and_in_order(items, chunks):
    assert list(chunked(items, 3)) == chunks
