"""What can be a name in SQL without quotes."""
from __future__ import annotations

CONSTANTS = {"NULL", "TRUE", "FALSE"}       # words of SQL that are values


def is_word(name: str) -> bool:
    """Whether it can be a name in SQL without quotes."""
    return name.isascii() and name.isidentifier()


def is_name(text: str) -> bool:
    """Whether `[columns]` names a column by it; else it is an expression."""
    return is_word(text) and text.upper() not in CONSTANTS
