"""Work in chunks: a statement takes so many ids, and a list has more."""
from __future__ import annotations


def chunked(items, size: int):
    """`items`, a list or another sequence, as slices of at most `size`, in order."""
    for start in range(0, len(items), size):
        yield items[start:start + size]
