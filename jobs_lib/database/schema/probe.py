"""Whether an app's table takes what the jobs write into it, and returns the same.

In a transaction that is always rolled back, one row gets each value that the jobs write, is read
back and compared, and is deleted. So whatever decides about a row is asked: types, lengths, ENUMs,
CHECKs, triggers, views, rights. A table without rows is asked by statements that match none.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.errors import Busy, Conflict, DatabaseError, Duplicate, Lost, Missing, ReadOnly

from . import keys
from .references import REFERENCES
from .tables import table, words_of

SILENT = (Conflict, Missing)            # errors that say nothing of the table
NOBODY = (Busy, Lost, ReadOnly)         # or of any
LARGE = ("blob", "text", "json")    # not read, unless jobs write them
TIMES = ("time", "now", "date")
SAMPLED = 20                # rows whose values are looked at where no type says what they hold
TIME, HEX = "2026-11-24 15:05:07", "0123456789abcdef"
SAMPLES = {"claim_run": (HEX,), "actor": ("",), "ip": ("",),
           "time": (TIME,), "now": (TIME,),
           "date": (TIME[:10],), "flag": (0, 1), "int": (0, 1, 2), "big": (0, 1, 2)}
LARGEST = {"last_code": 999, "response_status": 599, "progress": 100}
# characters at most of a text, which an app may cut off
LONGEST = {"token_hash": 64, "sha256": 64, "file_name": 80, "last_error": 512, "error": 512,
           "disabled_reason": 255, "response_excerpt": 2048, "dns_results": 16_000}
# into an audit log: (what is added, what has to be read as the same)
AUDIT = {"actor": "jobs", "event": "destination.removed", "severity": "warning", "ip": "",
         "details": '{"": "' + "x" * 990 + '"}', "created_at": TIME}
# written by the jobs alone that delete what they refer to
UNSET = {(each.table, each.column) for each in REFERENCES if each.goes == "unset"}
HELD = {"numbers": (int, float), "text": (str,)}
NEEDED = {"word": "text", "time": "text", "now": "text", "date": "text", "flag": "numbers",
          "int": "numbers", "big": "numbers"}
FIXES = {"write": "let the column, its triggers, and the view (in SQLite by an INSTEAD OF UPDATE "
         "trigger) take and keep that",
         "add": "give each column that the jobs do not fill a default, and in SQLite a view an "
         "INSTEAD OF INSERT trigger; or let [tables] audit_logs name a table that is not there, "
         "and run the SQL that `jobs.py migrate` prints",
         "delete": "let its rows be deleted (in SQLite a view needs an INSTEAD OF DELETE trigger), "
         "or switch the job off"}


class _Undo(Exception):
    """Ends a transaction without a trace."""


def look(db, name: str, there, is_parent: bool, is_seen: bool = True) -> list[tuple]:
    """(table, act, what, fix) of what does not fit. `there`: the columns that the table has;
    `is_parent`: foreign keys refer to it, so that no row is deleted for a trial; `is_seen`: its
    engine is known to roll back, else no row is changed. One of NOBODY where nothing can be tried
    just now."""
    ours = table(name)
    columns = [column for column in ours.columns
               if column.name in there and (column.written or column.type not in LARGE)]
    found: list[tuple] = []
    try:
        rows = db.query(f"SELECT {', '.join(column.name for column in columns)} FROM {{{name}}} "
                        f"LIMIT {SAMPLED}")
    except (*SILENT, *NOBODY):
        return []
    except DatabaseError as error:
        return [(name, "read", str(error), "let the user of the jobs read it")]
    if db.dialect.any_type:
        found += _of_values(db, ours, rows)
    try:
        with db.transaction():
            row = rows[0] if rows and is_seen else {}
            found += _Probe(db, ours, columns, row, is_parent, is_seen).run()
            raise _Undo
    except _Undo:
        return found
    except SILENT:
        return []


def _of_values(db, ours, rows: list[dict]):
    """Columns of which all rows hold numbers or text in the place of the other, where a column
    takes any value."""
    for column in ours.columns:
        needed = NEEDED.get(column.type if column.type != "word" or words_of(column) else "", "")
        values = [row[column.name] for row in rows if row.get(column.name) is not None]
        if needed and values and not any(isinstance(value, HELD[needed]) for value in values):
            what = (f"{db.name(ours.name)}.{column.name} holds values such as "
                    f"{str(values[0])[:30]!r} where {_meant(column, needed)} belong")
            yield ours.name, "read", what, "let a view show it so"


def _meant(column, needed: str) -> str:
    return "times in UTC" if column.type in TIMES else (
        "words" if needed == "text" else "numbers")


class _Probe:
    """The statements about one table, in one transaction. `row`: one of its rows, or {}."""

    def __init__(self, db, ours, columns: list, row: dict, is_parent: bool,
                 is_seen: bool) -> None:
        self.db, self.ours, self.row, self.is_parent = db, ours, row, is_parent
        self.is_seen = is_seen
        self.written = [column for column in columns if column.written]
        # a row's age, or its end, must not change with something else (ON UPDATE)
        self.untouched = [column.name for column in columns
                          if column.type in TIMES and not column.written]
        self.where = " AND ".join(f"{key} = :{key}" for key in ours.key) if row else "1 = 0"
        self.key = {key: row[key] for key in ours.key} if row else {}

    def run(self):
        """(table, act, what, fix), ..."""
        if self.written and not self.row and (wrong := self._of(self._write_none)):
            yield self._finding("write", f": {wrong}")
        for column in self.written if self.row else ():
            act = "delete" if (self.ours.name, column.name) in UNSET else "write"
            for value in values(column):
                if wrong := self._of(lambda column=column, value=value: self._write(column, value)):
                    yield self._finding(act, f".{column.name}: {wrong}", "write")
                    break
        if self.ours.name == "audit_logs" and self.is_seen and (wrong := self._of(self._add)):
            yield self._finding("add", f": {wrong}")
        if wrong := self._of(self._delete):
            yield self._finding("delete", f": {wrong}")

    def _finding(self, act: str, what: str, fix: str = "") -> tuple:
        return self.ours.name, act, f"{self.db.name(self.ours.name)}{what}", FIXES[fix or act]

    @staticmethod
    def _of(step) -> str:
        """What is wrong with that, or ""."""
        try:
            return step()
        except Duplicate:
            return ""
        except (*SILENT, *NOBODY):
            raise
        except DatabaseError as error:
            return str(error)

    def _write_none(self) -> str:
        same = ", ".join(f"{column.name} = {column.name}" for column in self.written)
        self.db.execute(f"UPDATE {{{self.ours.name}}} SET {same} WHERE 1 = 0")
        return ""

    def _write(self, column, value) -> str:
        name, shown = column.name, repr(value)[:40]
        self.db.execute(f"UPDATE {{{self.ours.name}}} SET {name} = :value WHERE {self.where}",
                        value=value, **self.key)
        stored = self.db.row(f"SELECT {', '.join(self.row)} FROM {{{self.ours.name}}} "
                             f"WHERE {self.where}", **self.key) or {}
        if name not in LONGEST and not is_same(value, stored.get(name)):
            return f"the jobs write {shown}, and it reads as {stored.get(name)!r}"
        changed = [other for other in self.untouched
                   if not is_same(self.row[other], stored.get(other))]
        return f"when it is written, {', '.join(changed)} changes, too" if changed else ""

    def _add(self) -> str:
        row = dict(AUDIT)
        if "audit_logs" in keys.types(self.db):
            like = self.row.get("id") or self.db.value("SELECT id FROM {users} LIMIT 1")
            if like is None:
                return ""                   # nobody knows what a key looks like
            row["id"] = keys.new(like, clock.now())
        if self.row.get("user_id") is not None:
            row["user_id"] = self.row["user_id"]
        self.db.insert(self.ours.name, **row)
        # by the index over these two: through a view, no id is known
        stored = self.db.row(f"SELECT {', '.join(AUDIT)} FROM {{{self.ours.name}}} "
                             "WHERE severity = :severity AND created_at = :at",
                             severity=AUDIT["severity"], at=TIME) or {}
        wrong = [name for name in AUDIT if not is_same(AUDIT[name], stored.get(name))]
        return f"what the jobs add is read otherwise: {', '.join(wrong)}" if wrong else ""

    def _delete(self) -> str:
        where, key = ("1 = 0", {}) if self.is_parent else (self.where, self.key)
        number = self.db.execute(f"DELETE FROM {{{self.ours.name}}} WHERE {where}", **key)
        return "a row that is deleted is still there" if key and number != 1 else ""


def values(column) -> tuple:
    """All that jobs write into a column, or some of it, the largest and the longest among them;
    NULL where it may be written."""
    if column.name in LONGEST:
        found: tuple = ("x" * LONGEST[column.name],)
        if column.type == "json":
            found = ('{"": "' + "x" * (LONGEST[column.name] - 8) + '"}',)
    else:
        found = tuple(words_of(column)) or SAMPLES.get(column.name) or SAMPLES.get(column.type, ())
    if column.name in LARGEST:
        found += (LARGEST[column.name],)
    return (*found, None) if column.null else found


def is_same(value, back) -> bool:
    """Whether a value was read back; a fraction of a second is fine."""
    if value is None or back is None:
        return value is back
    if isinstance(value, int):
        return not isinstance(back, (str, bytes)) and value == back
    text = back.decode(errors="replace") if isinstance(back, bytes) else str(back)
    return text == str(value) or (value == TIME and text.startswith(value))
