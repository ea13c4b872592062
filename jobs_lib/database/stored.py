"""What other programs left in a row, judged once, where it is read.

An app, a tool or a disk may have written anything into any column: SQLite keeps any value, MySQL
takes year 1, and an old one bends what does not fit. What cannot be read affects that row alone
(engines/due.py, clock.parse); to those who only look, such as `status`, it is unknown, and stops
nobody. Any other exception is a mistake of ours.
"""
from __future__ import annotations

from itertools import islice

from jobs_lib import clock
from jobs_lib.text import words

INVALID = "invalid"  # what a run counts such rows under
LARGEST_KEY, LONGEST_KEY = 2 ** 63 - 1, 255  # of a number; characters of a text
LABEL = 190  # characters of ASCII that a column of the kind `label` takes
LARGEST_MESSAGE = 2 ** 40  # bytes; 8 million of these can be added up in one column
LONGEST = 10 ** 11  # milliseconds: three years
UNKNOWN = "unknown"
STATUSES = ("running", "ok", "partial", "skipped", "failed", "timeout", "interrupted", "vanished")


time = clock.shown


def number(value, otherwise=0):
    """The whole number, or `otherwise` for what is none."""
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return found if abs(found) <= LARGEST_KEY else otherwise


def document(value) -> dict:
    """The JSON object, or {} for what is none; its numbers are not looked at."""
    if not value:
        return {}
    from jobs_lib.records import loads
    try:
        found = loads(value)
    except (ValueError, TypeError, RecursionError):
        return {UNKNOWN: 1}
    return found if isinstance(found, dict) else {UNKNOWN: 1}


def counts(value) -> dict:
    """The same, with a number for each name."""
    return {str(name): each if isinstance(each, float) and abs(each) < LARGEST_KEY
            else number(each) for name, each in document(value).items()}


def milliseconds(value) -> int:
    """A length of time that can be one."""
    return max(0, min(number(value), LONGEST))


def run(row: dict) -> dict:
    """A row of `job_runs`, or some of its columns: times are text that can be read, or None; all
    else has its type."""
    return {name: _COLUMNS[name](value) if name in _COLUMNS else value
            for name, value in row.items()}


def _time_text(value) -> str | None:
    moment = time(value)
    return clock.text(moment) if moment else None


_COLUMNS = {
    **dict.fromkeys(("slot", "started_at", "finished_at", "heartbeat_at", "lease_until"),
                    _time_text),
    **dict.fromkeys(("job", "run_id", "trigger_type", "installation", "lock_name", "host",
                     "stop_reason", "error"),
                    lambda value: None if value is None else words(value)),
    **dict.fromkeys(("counts", "progress"), counts),
    "pid": lambda value: number(value, None),
    "duration_ms": lambda value: None if value is None else milliseconds(value),
    "status": lambda value: value if value in STATUSES else UNKNOWN,
}


# Keys

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
    """A key that sorts values as SQLite does: NULL, numbers, text, octets."""
    if value is None:
        return 0, 0
    if isinstance(value, (int, float)):
        return 1, value
    return (2 if isinstance(value, str) else 3), value


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
