"""The columns that an app's tables lacked while jobs waited to be confirmed, and that were added
since then: what keeps old rows from being due is shown until it is done, also where only the ALTER
was run.

`meta` holds them, as `destinations.reminded_at/3f1c/1764340205/1764340505`: a mark of the name that
the column was missing by; when it was last missing; and when it was first found there, or nothing.
It is done once any row from before has another value in that column than the ALTER gave it.
"""
from __future__ import annotations

from datetime import datetime, timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple

from . import NAMES, old_rows
from .tables import NO_DEFAULT, column_names, table
from .version import ADDED, UNCONFIRMED

Added = namedtuple("Added", "table column mark missing_at there_at")
Added.__doc__ = "As it is in `meta`, all of it text."


def note(db, missing: list[str]) -> None:
    """Write down which columns are missing, and which of them have been added. `missing`: what
    app_gaps.py notes, other things among it."""
    if not db.value("SELECT value FROM {meta} WHERE name = :name", name=UNCONFIRMED):
        return
    before = _stored(db)
    known = {f"{each.table}.{each.column}": each for each in _parsed(before)}
    now = str(int(clock.now().timestamp()))
    for name in missing:
        table_name, dot, column = name.partition(".")
        if dot and ":" not in name and old_rows.is_noted(*_of(table_name, column)):
            known[name] = Added(table_name, column, _mark(db, table_name, column), now, "")
    found = [each if each.there_at or name in missing else each._replace(there_at=now)
             for name, each in known.items()]
    text = " ".join("/".join((f"{each.table}.{each.column}", *each[2:])) for each in found)
    if text != before:
        db.upsert("meta", {"name": ADDED}, {"value": text})


def open_statements(db, is_meant, lives: dict) -> list[str]:
    """The statements that were printed with a column which has been added, and that nobody has run,
    each with a remark. `is_meant(table, column)`: whether it matters to a job that is not
    confirmed; `lives`: {table: how old an item of its queue gets}."""
    added = _parsed(_stored(db))
    found: list[str] = []
    for each in added:
        ours, column = _of(each.table, each.column)
        there = db.columns(each.table)
        if not (each.column in there and each.mark == _mark(db, each.table, each.column)
                and is_meant(each.table, each.column)):
            continue
        life, since = lives.get(each.table, timedelta(0)), _moment(each.there_at)
        is_done = db.query(db.as_text(
            f"SELECT 1 AS one FROM {{{each.table}}} WHERE {_changed(column)}"
            f"{_before(db, ours, there, _moment(each.missing_at), added)} LIMIT 1"))
        statements = [] if is_done else old_rows.closings(
            db, ours, column, there, life, since, _before(db, ours, there, since, added),
            {other.column for other in added if other.table == each.table})
        if new := [f"{sql};" for sql in statements if f"{sql};" not in found]:
            name = db.name.column(each.table, each.column)
            found.append(f"-- old rows of {db.name(each.table)}, by its column {name}: "
                         f"{old_rows.words(ours, column, life)}")
            found += new
    return found


def _changed(column) -> str:
    """SQL: the rows with another value than those had to which the column was added."""
    if column.default is NO_DEFAULT:
        return f"{column.name} IS NOT NULL"
    return f"{column.name} <> '{column.default}'"


def _before(db, ours, there: set, moment, added: list[Added]) -> str:
    """SQL: the rows that came in before that."""
    made = next((column.name for column in ours.columns if column.type == "now"), "")
    if made not in there:
        return ""
    rule = f"{made} <= '{clock.text(moment)}'"
    is_new = any((each.table, each.column) == (ours.name, made) for each in added)
    return f" AND ({made} IS NULL OR {rule})" if is_new and not db.dialect.adds_now else (
        f" AND {rule}")


def _moment(seconds: str):
    return datetime.fromtimestamp(int(seconds), clock.UTC) if seconds else clock.now()


def _of(table_name: str, name: str) -> tuple:
    ours = table(table_name)
    return ours, next(each for each in ours.columns if each.name == name)


def _mark(db, table_name: str, column: str) -> str:
    """Of the name in the app's table: another is another column."""
    from binascii import crc32
    return f"{crc32(db.name.shown(table_name, column).encode()) & 0xffff:04x}"


def _stored(db) -> str:
    return db.value("SELECT value FROM {meta} WHERE name = :name", name=ADDED) or ""


def _parsed(text: str) -> list[Added]:
    split = [word.split("/") for word in text.split()]
    found = [Added(*name.split("."), *rest) for name, *rest in split]
    # another version may have other columns
    return [each for each in found
            if each.table in NAMES and each.column in column_names(each.table)]
