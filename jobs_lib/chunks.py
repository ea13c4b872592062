"""Work in chunks: a list may have more ids than one statement takes."""
from __future__ import annotations

from itertools import islice


def chunked(items, size: int):
    """`items`, of any kind, as lists of at most `size`, in order; no more are asked for ahead."""
    waiting = iter(items)
    while chunk := list(islice(waiting, size)):
        yield chunk
