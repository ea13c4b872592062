"""Whether an app's table takes what the jobs write into it, and returns the same.

In a transaction that is always rolled back, one row gets each value that the jobs write, is read
back and compared, and is deleted. So whatever decides about a row is asked: types, lengths, ENUMs,
CHECKs, triggers, views, rights. A table without rows is asked by statements that match none.
"""
from __future__ import annotations

from jobs_lib.errors import Busy, Conflict, DatabaseError, Duplicate, Lost, Missing, ReadOnly

from . import keys
from .tables import references, table, words_of

SILENT = (Conflict, Missing)            # errors that say nothing of the table
NOBODY = (Busy, Lost, ReadOnly)         # or of any
LARGE = ("blob", "text", "json")        # not read, unless jobs write them
TIMES = ("time", "now", "date")
SAMPLED = 20                # rows whose values are looked at where no type says what they hold
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
    "write": "let the column, its triggers, and the view (in SQLite by a trigger) keep that",
    "add": "give each column that the jobs do not fill a default; or let [tables] audit_logs name "
           "a table that is not there, and run the SQL that `jobs.py migrate` prints",
    "delete": "let its rows be deleted (in SQLite by a trigger of the view), or switch the job off"}


class _Undo(Exception):
    """Ends a transaction without a trace."""


def look(db, name: str, there) -> list[tuple]:
    """(act, what, fix) of what does not fit. `there`: the columns that the table has. One of NOBODY
    where nothing can be tried just now."""
    ours = table(name)
    columns = [column for column in ours.columns
               if column.name in there and (column.written or column.type not in LARGE)]
    names = ", ".join(column.name for column in columns)
    found: list[tuple] = []
    try:
        rows = db.query(f"SELECT {names} FROM {{{name}}} LIMIT {SAMPLED}")
        if db.dialect.any_type:
            found += _of_times(db.name(name), columns, rows)
        with db.transaction():
            found += _Probe(db, ours, columns, rows[0] if rows else {}).run()
            raise _Undo
    except _Undo:
        return found
    except SILENT:
        return []
    except NOBODY:
        raise
    except DatabaseError as error:
        return [("read", str(error), "let the user of the jobs read it")]


def _of_times(name: str, columns: list, rows: list[dict]):
    """Columns whose times are numbers, which are older than any text, where a column takes any
    value."""
    for column in columns if rows else ():
        values = {row[column.name] for row in rows} - {None}
        is_text = any(isinstance(value, str) for value in values)
        if column.type in TIMES and values and not is_text:
            what = (f"{name}.{column.name} holds values such as {values.pop()!r:.30} where "
                    "times in UTC belong")
            yield "read", what, "let a view show it so"


class _Probe:
    """The statements about one table, in one transaction. `row`: one of its rows, or {}."""

    def __init__(self, db, ours, columns: list, row: dict) -> None:
        self.db, self.ours, self.row = db, ours, row
        self.written = [column for column in columns if column.written]
        # a row's age, or its end, must not change with something else (ON UPDATE)
        self.untouched = [column.name for column in columns
                          if column.type in TIMES and not column.written]
        self.where = " AND ".join(f"{key} = :{key}" for key in ours.key) if row else "1 = 0"
        self.key = {key: row[key] for key in ours.key} if row else {}

    def run(self):
        """(act, what, fix), ..."""
        name = self.db.name(self.ours.name)
        for column in self.written:
            # written by the jobs alone that delete what it refers to
            act = "delete" if column.goes == "unset" else "write"
            for value in values(column):
                if wrong := self._of(self._write, column.name, value):
                    yield act, f"{name}.{column.name}: {wrong}", FIXES["write"]
                    break
        if self.ours.name == "audit_logs" and (wrong := self._of(self._add)):
            yield "add", f"{name}: {wrong}", FIXES["add"]
        if wrong := self._of(self._delete):
            yield "delete", f"{name}: {wrong}", FIXES["delete"]

    @staticmethod
    def _of(step, *values) -> str:
        """What is wrong with that, or ""."""
        try:
            return step(*values) or ""
        except Duplicate:
            return ""
        except (*SILENT, *NOBODY):
            raise
        except DatabaseError as error:
            return str(error)

    def _write(self, name: str, value) -> str:
        of_row = f"{{{self.ours.name}}}"
        self.db.execute(f"UPDATE {of_row} SET {name} = :value WHERE {self.where}",
                        value=value, **self.key)
        if not self.row:
            return ""
        stored = self.db.row(f"SELECT {', '.join(self.row)} FROM {of_row} WHERE {self.where}",
                             **self.key) or {}
        if name not in LONGEST and not is_same(value, stored.get(name)):
            return f"the jobs write {value!r}, and it reads as {stored.get(name)!r}"
        changed = [other for other in self.untouched
                   if not is_same(self.row[other], stored.get(other))]
        return f"when it is written, {', '.join(changed)} changes, too" if changed else ""

    def _add(self) -> None:
        row = dict(AUDIT)
        if "audit_logs" in keys.types(self.db):
            like = self.row.get("id") or self.db.value("SELECT id FROM {users} LIMIT 1")
            if like is None:
                return                      # nobody knows what a key looks like
            row["id"] = keys.new(like)
        if self.row.get("user_id") is not None:
            row["user_id"] = self.row["user_id"]
        self.db.insert(self.ours.name, **row)

    def _delete(self) -> str:
        # of a table that others refer to none: a great deal may go with it for a trial
        is_parent = self.ours.name in {each.target for each in references()}
        where, key = ("1 = 0", {}) if is_parent else (self.where, self.key)
        number = self.db.execute(f"DELETE FROM {{{self.ours.name}}} WHERE {where}", **key)
        return "a row that is deleted is still there" if key and number != 1 else ""


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
