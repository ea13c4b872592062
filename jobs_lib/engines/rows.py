"""What a row of a queue may hold: judged once, where rows are read, and nowhere after that.

The app writes these rows, or somebody by hand, and SQLite stores whatever it is given: text where a
number belongs, an attempt of -100, a time of year 0. Such a row ends as `failed` with the reason,
and the others go on.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock

LONGEST_SCHEDULE = timedelta(days=36_500)      # to be added to a time, at most
MOST_ATTEMPTS = 1_000_000                      # more were never made
LARGEST = {"int": 2 ** 31, "flag": 2 ** 7}     # else 2 ** 63
NUMBERS = ("id", "ref", "int", "big", "flag")
TIMES = ("time", "now")
SHORT_TEXTS = ("word", "hash", "label", "path", "address", "name", "line")


def invalid(db, table: str, rows: list[dict]) -> dict:
    """{row id: what is wrong with it}. Corrects in the rows what can be: short text that was stored
    as octets or as a number becomes text, an invalid time becomes NULL where the column may be
    NULL, and NULL becomes the column's default if it has one, except in `status`. So NULL counts as
    0 attempts, or as the empty sender."""
    from jobs_lib.database.schema import tables  # an idle run judges no row
    columns = {column.name: column for column in tables.table(table).columns}
    return {row["id"]: reason for row in rows
            if (reason := _reason(columns, row, bool(db.text_keys)))}


def _reason(columns: dict, row: dict, has_text_keys: bool) -> str:
    """Why a row cannot be worked on, or ""; its values are corrected. A column that is not of the
    schema is the app's own, of a `SELECT *`."""
    for column in (columns[name] for name in row if name in columns):
        name, value, kind = column.name, row[column.name], column.type
        if has_text_keys and kind in ("id", "ref") and type(value) in (str, bytes):
            kind = "label"
        if value is None:
            if not column.null and (not isinstance(column.default, (int, str))
                                    or kind == "word"):
                return f"its {name} is missing"
            row[name] = None if column.null else column.default
        elif kind in NUMBERS:
            if type(value) is not int:
                return f"its {name} is not a whole number"
            largest = LARGEST.get(kind, 2 ** 63)
            if not (0 <= value <= MOST_ATTEMPTS if name == "attempts"
                    else -largest <= value < largest):
                return f"its {name} is out of range"
        elif kind in TIMES:
            try:
                clock.parse(value) + LONGEST_SCHEDULE
            except (ValueError, TypeError, OverflowError):
                if not column.null:
                    return f"its {name} is not a valid time"
                row[name] = None        # a schedule that is none: it is due now
        elif kind in SHORT_TEXTS:
            try:
                row[name] = value.decode() if isinstance(value, bytes) else str(value)
            except UnicodeDecodeError:
                return f"its {name} is not text"
    return ""
