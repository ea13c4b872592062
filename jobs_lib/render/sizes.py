"""Bytes as people say them."""
from __future__ import annotations

UNITS = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


def size(number: float) -> str:
    """`1.4 GB`, `310 MB`, `812 bytes`."""
    for unit, name in UNITS:
        if number >= unit:
            return f"{number / unit:.1f} {name}" if number < 100 * unit else f"{number / unit:,.0f} {name}"
    return f"{number:,.0f} bytes"
