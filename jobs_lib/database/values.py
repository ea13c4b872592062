"""What other programs left in a row. SQLite keeps any value in any column, and old MySQL bends what
does not fit.

Each such value is judged once, where it is read: rows in engines/due.py, times in clock.parse.
What cannot be read affects that row alone; any other exception is a mistake of ours.
"""
from __future__ import annotations

from itertools import islice

INVALID = "invalid"             # what a run counts such rows under
LARGEST_KEY, LONGEST_KEY = 2 ** 63 - 1, 255     # of a number; characters of a text
LABEL = 190                     # characters of ASCII that a column of the kind `label` takes
LARGEST_MESSAGE = 2 ** 40       # bytes; 8 million of these can be added up in one column


def words(value) -> str:
    """Text, whatever it was stored as; undecodable octets are marked. "" for NULL."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def keys_in(values) -> list:
    """Those of the values that can be a key: SQLite stores anything in their place."""
    return [value for value in values if (isinstance(value, int) and abs(value) <= LARGEST_KEY)
            or (isinstance(value, str) and len(value) <= LONGEST_KEY)]


def fitted(text: str, longest: int) -> str:
    """What names something in a column of ours that holds ASCII: a hash in the place of what that
    does not take, as a key of the app's in it may be longer or have an accent."""
    if len(text) <= longest and text.isascii():
        return text
    from hashlib import sha256
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:longest]


def ordered(value) -> tuple:
    """A key that sorts values of several types as SQLite does: NULL, numbers, text, octets."""
    if value is None:
        return 0, 0
    if isinstance(value, (int, float)):
        return 1, value
    return (2 if isinstance(value, str) else 3), value


def one_line(text, limit: int = 150) -> str:
    """Printable, on one line, cut: whatever a sender wrote, it can neither add a line nor a
    header."""
    text = " ".join("".join(char if char.isprintable() else " " for char in words(text)).split())
    return text if len(text) <= limit else text[:limit - 1] + "\u2026"


def chunked(items, size: int):
    """`items`, of any kind, as lists of at most `size`, in order; no more are asked for ahead. A
    list may have more ids than one statement takes."""
    waiting = iter(items)
    while chunk := list(islice(waiting, size)):
        yield chunk


def size(column: str) -> str:
    """SQL: the bytes of a message; 0 where what is stored can be none. MySQL adds up no further
    than 2 ** 63, SQLite neither, and one row that says as much must not stop the sums of all."""
    return (f"CASE WHEN {column} BETWEEN 0 AND {LARGEST_MESSAGE} AND {column} = ROUND({column}) "
            f"THEN {column} ELSE 0 END")
