"""A whole database copied into an empty one of another engine, and both compared.

What is copied goes on from the target's `meta`, where each batch notes in its own transaction how
far it came: a kill loses the batch in hand, and nothing is copied twice. The names and the mark of
the source, `meta`, come last of all: until then no job takes the copy for the real one
"""
from __future__ import annotations

import json
import re
from contextlib import suppress
from graphlib import TopologicalSorter
from hashlib import sha256

from jobs_lib.errors import Busy, DatabaseError, Lost, Missing, ReadOnly
from jobs_lib.masking import without_secrets
from jobs_lib.records import namedtuple

from .connection import rows_behind
from .schema import NAMES, is_word, migrations, version
from .schema.references import REFERENCES
from .schema.tables import VIEW, table
from .schema.version import APP_TABLES, TEXT_KEYS

MARK = "moved_from"             # in the target's `meta`
BATCH = 200                     # rows that are written at once
FIRST = 20                      # of a table, before it is known how large they are
MOST_OCTETS = 4_000_000         # of a page, about
MOST_PROBLEMS = 20              # values that do not fit, before it gives up
LAST = ("schema_migrations", "meta")            # which `migrate` has filled in the target
# how those rows of `meta` begin that are each database's own
OWN = (MARK, VIEW, APP_TABLES, TEXT_KEYS)
DIGEST = 2 ** 128
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)?", re.ASCII)
COLUMN = re.compile(r"[Cc]olumn [`'](?:[^`']+`\.`)*([^`']+)[`']")

Problem = namedtuple("Problem", "table key column what")
Problem.__doc__ = """A value that the target cannot hold as it is. `key`: of its row, as text;
`column` is "" where only the whole row was refused."""

Compared = namedtuple("Compared", "table rows target_rows equal")
Compared.__doc__ = """A table, its rows on both sides, and whether they are the same."""


class _Undo(Exception):
    """Ends a transaction whose rows are only tried."""


def order() -> list[str]:
    """All tables that are copied, each behind those that its rows refer to."""
    before: dict = {name: set() for name in NAMES if name not in LAST}
    for reference in REFERENCES:
        if reference.target != reference.table:
            before[reference.table].add(reference.target)
    return list(TopologicalSorter(before).static_order())


def gaps(source, target) -> list[str]:
    """What the source has and the target does not, after the target's `migrate`: tables of an
    app, and columns; in words."""
    found = []
    for name in NAMES:
        here, there = source.columns(name), target.columns(name)
        if here and not there:
            found.append(f"the table {source.name(name)}")
        elif odd := sorted(column for column in here if not is_word(column)):
            found.append(f"a column of {source.name(name)} that is called {odd[0]!r}")
        else:
            found += [f"the column {source.name(name)}.{column}" for column in sorted(here - there)]
        if name in source.text_keys and name not in target.text_keys:
            found.append(f"text for the keys of {source.name(name)}")
    return found


def others(db) -> list[str]:
    """Tables of somebody else's, which are not copied."""
    ours = {db.name(name).lower() for name in NAMES} | {(db.name.prefix + VIEW).lower()}
    return sorted(name for name in db.tables() if name.lower() not in ours)


class Move:
    """From `source` to `target`, two connections without renamed columns, so that each column is
    copied under its own name; `names` has those that are ours. `whole_seconds`: a fraction of a
    second is cut off."""

    def __init__(self, source, target, names, whole_seconds: bool = False) -> None:
        self.source, self.target = source, target
        self.keys = {name: tuple(names.column(name, key) for key in table(name).key)
                     for name in NAMES}
        self.times = {name: {names.column(name, column.name) for column in table(name).columns
                             if column.type in ("time", "now")
                             and not names.expression(name, column.name)} for name in NAMES}
        self.whole_seconds = whole_seconds
        self.problems: list[Problem] = []
        self.cut = 0                    # fractions of a second
        self.owner = source.value("SELECT value FROM {meta} WHERE name = 'database_id'")
        self.largest = 0                # octets of a statement, with room for as many again
        self._read: dict = {}           # {table: its digest, as it was compared}
        self._last: dict = {}           # the rows of the tables that come last

    # The target

    def state(self) -> dict:
        """How far a move of this source into this target came: {} before its begin. DatabaseError
        where the target is somebody else's."""
        try:
            mark = self.target.value("SELECT value FROM {meta} WHERE name = :name", name=MARK)
        except Missing:
            mark = None
        if mark:
            found = json.loads(mark)
            if found["source"] != self.owner:
                raise DatabaseError("the target holds the move of another database: name an empty "
                                    "one. Nothing was changed")
            self.whole_seconds = self.whole_seconds or found["whole_seconds"]
            return found
        there = self.target.tables()
        used = [name for name in NAMES if name not in LAST and self.target.name(name) in there
                and self.target.row(f"SELECT 1 AS one FROM {{{name}}} LIMIT 1")]
        if used:
            named = ", ".join(self.target.name(name) for name in used[:3])
            more = f" and {len(used) - 3} more" if len(used) > 3 else ""
            raise DatabaseError(f"the target holds rows already ({named}{more}), and not from a "
                                "move of this database: name an empty one. Nothing was changed")
        return {}

    def note(self, **state) -> None:
        """Store how far it came, in the transaction that is open."""
        text = json.dumps({"source": self.owner, "whole_seconds": self.whole_seconds, **state},
                          ensure_ascii=False)
        self.target.upsert("meta", {"name": MARK}, {"value": text})

    # Copying

    def copy(self, state: dict, tell) -> None:
        """Copy what is not there yet. `tell(rows)` is called after each batch. `problems` is filled
        with what does not fit: then nothing more is stored, but all is tried."""
        self.largest = self.target.value(self.target.dialect.largest_statement) // 2 - 1000
        names = order()
        begun = state.get("table")
        for name in names[names.index(begun) if begun else 0:]:
            after = state.get("after") if name == begun else None
            if self.source.columns(name):
                for rows in self._pages(self.source, name, after):
                    self._batch(name, rows)
                    tell(len(rows))
                    if len(self.problems) >= MOST_PROBLEMS:
                        return

    def _batch(self, name: str, rows: list[dict]) -> None:
        after = [rows[-1][key] for key in self.keys[name]]
        fitting = [self._fitting(name, row) for row in rows if self._can_be_sent(name, row)]
        found: list = []

        def work() -> None:
            found[:] = self._write(name, fitting)
            if found or self.problems:
                raise _Undo
            self.note(table=name, after=after)

        try:
            self.target.batch(work)
        except _Undo:
            self.problems += found
        except (Busy, Lost, Missing, ReadOnly):
            raise
        except DatabaseError as error:
            if not (found := self._refused(name, fitting)):
                raise DatabaseError(f"{name}: {error}") from None
            self.problems += found

    def _refused(self, name: str, rows: list[dict]) -> list[Problem]:
        """The rows of a refused batch that are refused by themselves, or else beside the others,
        and why."""
        found: list = []
        for row in rows:
            with suppress(_Undo), self.target.transaction():
                found += self._tried(name, row)
                raise _Undo
            if len(found) >= MOST_PROBLEMS:
                break
        if not found:
            with suppress(_Undo), self.target.transaction():
                for row in rows:
                    found += self._tried(name, row)
                raise _Undo
        return found

    def _tried(self, name: str, row: dict) -> list[Problem]:
        """What is wrong with a row, found by inserting it."""
        try:
            return self._write(name, [row])
        except (Busy, Lost, Missing, ReadOnly):
            raise
        except DatabaseError as error:
            column, what = _named(str(error))
            return [Problem(name, self._key(name, row), column, what)]

    def _write(self, name: str, rows: list[dict]) -> list[Problem]:
        """Insert the rows and read them back; what was stored as something else."""
        for part in self._statements(rows):
            columns = list(part[0])
            marks = ", ".join("(" + ", ".join(f":v{at}_{which}" for which in range(len(columns)))
                              + ")" for at in range(len(part)))
            values = {f"v{at}_{which}": row[column] for at, row in enumerate(part)
                      for which, column in enumerate(columns)}
            named = ", ".join(map(self.target.dialect.quote, columns))
            self.target.execute(f"INSERT INTO {{{name}}} ({named}) VALUES {marks}", **values)
        return [problem for part in self._statements(rows) for problem in self._bent(name, part)]

    def _statements(self, rows: list[dict]):
        """The rows in parts that the server takes at once."""
        part: list = []
        room = self.largest
        for row in rows:
            size = _size(row)
            if part and size > room:
                yield part
                part, room = [], self.largest
            part.append(row)
            room -= size
        if part:
            yield part

    def _bent(self, name: str, rows: list[dict]) -> list[Problem]:
        keys = self.keys[name]
        wanted = " OR ".join("(" + " AND ".join(f"{key} = :k{at}_{which}" for which, key
                                                in enumerate(keys)) + ")"
                             for at in range(len(rows)))
        values = {f"k{at}_{which}": row[key] for at, row in enumerate(rows)
                  for which, key in enumerate(keys)}
        stored = {tuple(canonical(row[key]) for key in keys): _lowered(row) for row in
                  self.target.query(f"SELECT * FROM {{{name}}} WHERE {wanted}", **values)}
        found = []
        for row in rows:
            there = stored.get(tuple(canonical(row[key]) for key in keys))
            if there is None:
                found.append(Problem(name, self._key(name, row), keys[0],
                                     "it would be stored under another key"))
                continue
            found += [Problem(name, self._key(name, row), column,
                              _bending(name, column, value, there[column.lower()]))
                      for column, value in row.items()
                      if canonical(there[column.lower()]) != canonical(value)]
        return found

    # Rows

    def _pages(self, db, name: str, after=None):
        keys = self.keys[name]
        begin, values = "1 = 1", {}
        if after is not None:
            begin = rows_behind(keys).replace(":last_", ":from_")
            values = {f"from_{key}": value for key, value in zip(keys, after)}

        def size(page: list) -> int:
            octets = sum(map(_size, page))
            return max(1, min(BATCH, len(page) * MOST_OCTETS // octets if page else FIRST))
        return db.pages(f"SELECT * FROM {{{name}}} WHERE {begin}", key=keys, size=size, **values)

    def _fitting(self, name: str, row: dict) -> dict:
        """A row as it is sent: times in the one form that a database of times has."""
        times = self.times[name]
        return {column: self._time(value) if column in times and isinstance(value, str) else value
                for column, value in row.items()}

    def _time(self, text: str) -> str:
        """The same moment as `YYYY-MM-DD HH:MM:SS`; the text itself where that would change it."""
        found = TIME.fullmatch(text)
        if not found:
            return text
        if found[3] and found[3].strip(".0"):
            if not self.whole_seconds:
                return text
            self.cut += 1
        return f"{found[1]} {found[2]}"

    def _can_be_sent(self, name: str, row: dict) -> bool:
        """Whether this row can be sent at all; why not is a problem."""
        found = []
        for column, value in row.items():
            what = ""
            if isinstance(value, float) and value - value != 0:
                what = f"{value} is no number that the target has"
            elif isinstance(value, str) and "\ufffd" in value and not self._decodes(name, row,
                                                                                    column):
                what = "it is text with octets that are no UTF-8"
            elif isinstance(value, bytes) and column in self.keys[name]:
                what = "a key of octets"
            if what:
                found.append(Problem(name, self._key(name, row), column, what))
        if not found and _size(row) > self.largest and _size_sent(row) > 2 * self.largest:
            found = [Problem(name, self._key(name, row), "", "the row is larger than the server's "
                             "max_allowed_packet takes")]
        self.problems += found
        return not found

    def _decodes(self, name: str, row: dict, column: str) -> bool:
        """Whether its mark for what cannot be decoded was stored as such."""
        where = " AND ".join(f"{key} = :{key}" for key in self.keys[name])
        stored = self.source.value(
            f"SELECT CAST({self.source.dialect.quote(column)} AS BLOB) FROM {{{name}}} "
            f"WHERE {where}", **{key: row[key] for key in self.keys[name]})
        try:
            stored.decode()
        except UnicodeDecodeError:
            return False
        return True

    def _key(self, name: str, row: dict) -> str:
        return ", ".join(f"{key} {_shown(row[key])}" for key in self.keys[name])

    # Comparing

    def version(self) -> int:
        """A number that changes with each write of anybody else to the source."""
        return self.source.value(self.source.dialect.changes)

    def compare(self, finished: bool) -> list[Compared]:
        """Each table on both sides: how many rows, and whether they are the same ones. The tables
        that come last are there when the move is finished."""
        self._last = {name: self.source.query(f"SELECT * FROM {{{name}}}") for name in LAST}
        cut = self.cut
        for name in (*order(), *LAST):
            if self.source.columns(name):
                self._read[name] = self.digest(self.source, name)
        self.cut = cut                  # of what is copied alone
        return [self._compared(name) for name in self._read if finished or name not in LAST]

    def _compared(self, name: str) -> Compared:
        rows, total, columns = self._read[name]
        there = self.digest(self.target, name, columns)
        return Compared(name, rows, there[0], (rows, total) == there[:2])

    def changed(self) -> list[str]:
        """The tables of the source that are not any more as `compare` read them."""
        return [name for name, before in self._read.items()
                if self.digest(self.source, name)[:2] != before[:2]]

    def digest(self, db, name: str, columns: list | None = None) -> tuple:
        """(rows, a sum over all of them whatever their order, the columns that were looked at)."""
        rows = total = 0
        for page in self._pages(db, name):
            columns = columns or list(page[0])
            for row in page:
                if name == "meta" and str(row["name"]).startswith(OWN):
                    continue
                rows += 1
                total += _digest(self._fitting(name, row) if db is self.source else row, columns)
        return rows, total % DIGEST, columns or []

    # The end

    def finish(self, at: str) -> list[Compared]:
        """The rows of `meta`, with them the database's name, and that it is done: at once. Those
        tables, compared."""
        self._keep_ids()

        def work() -> None:
            for name in LAST:
                keys = self.keys[name]
                for row in self._last[name]:
                    if name == "meta" and str(row["name"]).startswith(OWN):
                        continue
                    rest = {column: value for column, value in row.items() if column not in keys}
                    self.target.upsert(name, {key: row[key] for key in keys}, rest)
            self.note(finished_at=at)
        self.target.batch(work)
        return [self._compared(name) for name in LAST]

    def _keep_ids(self) -> None:
        """An id that was given once is never given again, also of a row that is deleted."""
        last = {row["name"]: row["last"]
                for row in self.source.query(self.source.dialect.last_ids)}
        for name in order():
            there = self.source.name(name)
            if table(name).columns[0].type != "id" or there not in last:
                continue
            largest = self.target.value(f"SELECT MAX({self.keys[name][0]}) FROM {{{name}}}") or 0
            if last[there] > largest:
                self.target.execute(self.target.dialect.next_id(there, last[there] + 1))


def _named(error: str) -> tuple[str, str]:
    """(the column that a refusal names, or "", why it was refused)."""
    column = COLUMN.search(error)
    why = re.sub(r"^database \S+: |( for column \S+)?( at row \d+)? \(\d+\)$", "", error)
    return column[1] if column else "", why.replace(" ...", "")


def make_schema(source, target, now) -> None:
    """The tables of the target, as `migrate` makes them, for the same tables as in the source."""
    scope = source.value("SELECT value FROM {meta} WHERE name = :name", name=version.SCOPE)
    migrations.migrate(target, now, scope == version.OWN)
    # which jobs may work on an app's is copied with the rest of `meta`
    target.execute("DELETE FROM {meta} WHERE name = :name", name=version.UNCONFIRMED)


def canonical(value) -> bytes | None:
    """The same octets for what is the same on both engines: text and blobs by their octets, numbers
    as they are written."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2 ** 63:
        value = int(value)
    return (value if isinstance(value, str) else str(value)).encode()


def _digest(row: dict, columns: list) -> int:
    made, row = sha256(), _lowered(row)
    for column in sorted(map(str.lower, columns)):
        value = canonical(row.get(column))
        made.update(b"-" if value is None else b"%d:" % len(value))
        made.update(value or b"")
    return int.from_bytes(made.digest()[:16], "big")


def _size(row: dict) -> int:
    """Octets, about, before those that a statement adds."""
    return sum(len(canonical(value) or b"NULL") + 24 for value in row.values())


def _size_sent(row: dict) -> int:
    """The same with the backslashes before what a statement cannot hold as it is."""
    return _size(row) + sum(octets.count(sign) for octets in map(canonical, row.values()) if octets
                            for sign in (b"\0", b"\n", b"\r", b"\x1a", b'"', b"'", b"\\"))


def _lowered(row: dict) -> dict:
    """The two engines may spell a column in other letters."""
    return {column.lower(): value for column, value in row.items()}


def _bending(name: str, column: str, before, after) -> str:
    """What would become of a value; only of a time or a number is it shown, which is nobody's
    secret."""
    kinds = {each.name: each.type for each in table(name).columns}
    if kinds.get(column) in ("time", "now", "date", "int", "big", "ref", "flag", "real", "id"):
        return f"{_shown(before)} would become {_shown(after)}"
    return "it would be stored as something else"


def _shown(value) -> str:
    text = without_secrets(str(value), ())
    return text if len(text) <= 40 else f"{text[:37]}..."
