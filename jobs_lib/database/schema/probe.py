"""Whether an app's table takes what the jobs write into it, and returns the same.

In a transaction that is always rolled back, one row gets each value that the jobs write, is read
back and compared, and is deleted. So whatever decides about a row is asked: types, lengths, ENUMs,
CHECKs, triggers, views, rights. A table without rows is asked by statements that match none.
"""
from __future__ import annotations

from jobs_lib.errors import (
    Broken,
    Busy,
    Conflict,
    DatabaseError,
    Duplicate,
    Lost,
    Missing,
    ReadOnly,
)

from .tables import references, table, words_of

SILENT = (Conflict, Missing)  # errors that say nothing of the table
NOBODY = (Broken, Busy, Lost, ReadOnly)  # or of any
LARGE = ("blob", "text", "json")  # not read, unless jobs write them
TIMES = ("time", "now", "date")
TIME, HEX = "2026-11-24 15:05:07", "0123456789abcdef"
# what the jobs write, by the column's name or its type, the largest value among it
SAMPLES = {
    "claim_run": (HEX,), "actor": ("",), "ip": ("",), "time": (TIME,), "date": (TIME[:10],),
    "flag": (0, 1), "int": (0, 1, 2), "big": (0, 1, 2), "last_code": (0, 999),
    "response_status": (0, 599), "progress": (0, 100)}
# characters at most of a text, which an app may cut off
LONGEST = {"token_hash": 64, "sha256": 64, "file_name": 80, "last_error": 512, "error": 512,
           "disabled_reason": 255, "response_excerpt": 2048, "dns_results": 16_000}
AUDIT = {"actor": "jobs", "event": "destination.removed", "severity": "warning", "ip": "",
         "details": '{"": "' + "x" * 990 + '"}', "created_at": TIME}
FIXES = {
    "read": "let the user of the jobs read it, and a view show times in UTC as text",
    "write": "let the column, its triggers, and the view (in SQLite by a trigger) keep that",
    "add": "give a default to each column that the jobs do not fill; or let [tables] audit_logs "
           "name a table that is not there, and run the SQL that `jobs.py migrate` prints",
    "delete": "let its rows be deleted (in SQLite by a trigger of the view), or switch the job off"}


def look(db, name: str, there) -> list[tuple]:
    """(act, what, fix) of what does not fit. `there`: the columns that the table has. One of NOBODY
    where nothing can be tried just now."""
    columns = [column for column in table(name).columns
               if column.name in there and (column.written or column.type not in LARGE)]
    names = ", ".join(column.name for column in columns)
    try:
        row = db.row(f"SELECT {names} FROM {{{name}}} LIMIT 1")
        with db.trial():
            found = [*_Trial(db, name, columns, row or {}).run()]
    except SILENT:
        return []
    except NOBODY:
        raise
    except DatabaseError as error:
        found = [("read", str(error))]
    return [(act, what, FIXES[act]) for act, what in found]


class _Trial:
    """The statements about one table. `row`: one of its rows, or {}."""

    def __init__(self, db, name: str, columns: list, row: dict) -> None:
        self.db, self.name, self.columns, self.row = db, name, columns, row
        self.where, self.key = "1 = 0", {}
        if row:
            self.key = {key: row[key] for key in table(name).key}
            self.where = " AND ".join(f"{key} = :{key}" for key in self.key)

    def run(self):
        """(act, what), ..."""
        theirs = self.db.name(self.name)
        for column in self.columns:
            place, value = f"{theirs}.{column.name}", self.row.get(column.name)
            # in SQLite a number is older than any text
            if column.type in TIMES and isinstance(value, (int, float)):
                yield "read", f"{place} holds values such as {value!r:.30} where times belong"
            # written by the jobs alone that delete what it refers to
            act = "delete" if column.goes == "unset" else "write"
            for value in values(column) if column.written else ():
                if wrong := _refusal(self._write, column.name, value):
                    yield act, f"{place}: {wrong}"
                    break
        if self.name == "audit_logs" and (wrong := _refusal(self._add)):
            yield "add", f"{theirs}: {wrong}"
        if wrong := _refusal(self._delete):
            yield "delete", f"{theirs}: {wrong}"

    def _write(self, name: str, value) -> str:
        self.db.execute(f"UPDATE {{{self.name}}} SET {name} = :value WHERE {self.where}",
                        value=value, **self.key)
        if not self.row:
            return ""
        stored = self.db.row(f"SELECT {', '.join(self.row)} FROM {{{self.name}}} "
                             f"WHERE {self.where}", **self.key) or {}
        if name not in LONGEST and not is_same(value, stored.get(name)):
            return f"the jobs write {value!r}, and it reads as {stored.get(name)!r}"
        # a row's age, or its end, must not change with something else (ON UPDATE)
        changed = [each.name for each in self.columns if each.type in TIMES and not each.written
                   and not is_same(self.row[each.name], stored.get(each.name))]
        return f"when it is written, {', '.join(changed)} changes, too" if changed else ""

    def _add(self) -> str:
        if self.name in self.db.key_types:
            return "the jobs add rows without a key"
        owner = self.row.get("user_id")
        self.db.insert(self.name, **AUDIT, **({} if owner is None else {"user_id": owner}))
        return ""

    def _delete(self) -> str:
        # of a table that others refer to none: a great deal may go with it for a trial
        is_parent = self.name in {each.target for each in references()}
        where, key = ("1 = 0", {}) if is_parent else (self.where, self.key)
        number = self.db.execute(f"DELETE FROM {{{self.name}}} WHERE {where}", **key)
        return "a deleted row is still there" if key and number != 1 else ""


def _refusal(step, *values) -> str:
    """What is wrong with that, or ""."""
    try:
        return step(*values) or ""
    except Duplicate:
        return ""
    except (*SILENT, *NOBODY):
        raise
    except DatabaseError as error:
        return str(error)


def values(column) -> tuple:
    """All that jobs write into a column, or some of it, the largest and the longest among them;
    NULL where it may be written."""
    found: tuple = tuple(words_of(column))
    if column.name in LONGEST:
        # as JSON, too
        found = ('"' + "x" * (LONGEST[column.name] - 2) + '"',)
    elif not found:
        found = SAMPLES.get(column.name) or SAMPLES.get(column.type, ())
    return (*found, None) if column.null else found


def is_same(value, back) -> bool:
    """Whether a value was read back; a fraction of a second is fine."""
    if value is None or back is None:
        return value is back
    if isinstance(value, int):
        return not isinstance(back, (str, bytes)) and value == back
    text = back.decode(errors="replace") if isinstance(back, bytes) else str(back)
    return text == str(value) or (value == TIME and text.startswith(value))
