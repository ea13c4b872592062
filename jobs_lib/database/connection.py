"""The database: the only module that runs SQL text, the same on SQLite and on MySQL or MariaDB."""
from __future__ import annotations

import time

from jobs_lib.errors import Busy, Conflict, DatabaseError, Duplicate, Lost

from . import dialects
from .schema import Names, is_word
from .statement import Statement
from .transaction import Transaction

TRIES = 3                    # of a batch that met a deadlock, a lock wait or a lost connection
PAUSE = 0.1                  # seconds before the second try, twice as long before the third
CACHED = 500                 # translated statements kept; a job has a few dozen


def connect(url: str, *, prefix: str = "", tables: dict | None = None, base: str = ".",
            readonly: bool = False, create: bool = False, timeout: float = 5.0,
            hidden=tuple) -> Database:
    """Open `url` (as in `[core] database`) now, so that what is wrong with it is raised here.

    prefix    put before the names of our tables, unless `tables` gives one its full name
    base      the folder that a relative SQLite path counts from
    readonly  the database itself refuses to write: for dry runs
    create    a missing SQLite file is made
    timeout   seconds to wait for another writer
    hidden    returns the secrets that no error may quote
    """
    dialect = dialects.load(url)
    database = Database(dialect, dialects.target(url, base, timeout), Names(prefix, tables),
                        readonly, create)
    database.hidden = hidden
    database.connect()
    return database


class Database:
    """One connection, opened again by itself when it was lost outside a transaction.

    `on_statement(sql, values)`, when set, sees each statement before it runs, in our notation.
    `left()`, when set, returns the seconds that its user has left: no call takes much longer than
    that. `journal`, when set, is called for each transaction: `begin()`, then `committed()` or
    `rolled_back()` (runner/log.py).
    """

    def __init__(self, dialect, target, name: Names, readonly: bool, create: bool) -> None:
        self.dialect, self.name, self.readonly = dialect, name, readonly
        self.for_update = "" if readonly else dialect.for_update
        self.on_statement = self.journal = self.left = None
        self.hidden = tuple
        self.current: Transaction | None = None         # the open transaction
        self._target, self._create = target, create
        self._raw = None
        self._closed = False
        self._cache: dict = {}
        self._text_keys: dict | None = None
        self.key_types: dict | None = None              # for schema/keys.py

    @property
    def file(self) -> str:
        """The file of an SQLite database; "" for one on a server."""
        return getattr(self._target, "path", "")

    # Statements

    def query(self, sql: str, /, **values) -> list[dict]:
        """All rows. Outside a transaction, a lost connection is reopened and the query repeated,
        once."""
        return self._run(sql, values, self._fetch, repeatable=True)

    def row(self, sql: str, /, **values) -> dict | None:
        """The first row of the result, or None."""
        rows = self.query(sql, **values)
        return rows[0] if rows else None

    def value(self, sql: str, /, **values):
        """The first column of the first row or None."""
        rows = self.query(sql, **values)
        return next(iter(rows[0].values())) if rows else None

    def pages(self, sql: str, /, *, key: str | tuple = "id", size, end: str = "", name=str,
              **values):
        """The rows of `sql`, as lists of at most `size` rows in the order of `key`; no empty list.

        `sql` ends with its WHERE. `key` is a column that `sql` reads, or several that are unique
        together: each page begins behind the last row of the one before, so no page costs more
        for those before it. `size` may be a function of the page before, [] at first.
        `end` is put behind the LIMIT; `name(column)` is what a column of the key is called in SQL.
        """
        keys = (key,) if isinstance(key, str) else key
        rows: list[dict] = []
        behind = ""
        last: dict = {}
        while True:
            most = size(rows) if callable(size) else size
            rows = self.query(f"{sql}{behind} ORDER BY {', '.join(map(name, keys))} "
                              f"LIMIT :page_size{end}", **values, **last, page_size=most)
            full = len(rows) == most
            if full:
                last = {f"last_{each}": rows[-1][each] for each in keys}
                behind = f" AND {rows_behind(keys, name)}"
            if rows:
                yield rows
            if not full:
                return

    def execute(self, sql: str, /, **values) -> int:
        """Run a statement that changes something; how many rows it matched, whether or not they
        changed."""
        return self._run(sql, values, lambda cursor: cursor.rowcount)

    def insert(self, table: str, /, **values) -> int:
        """Add one row and return its id; Duplicate when a unique key is taken."""
        sql = f"INSERT INTO {{{table}}} {self._row(values)}"
        return self._run(sql, values, lambda cursor: cursor.lastrowid)

    def upsert(self, table: str, keys: dict, values: dict | None = None, add: dict
               | None = None) -> None:
        """The row with these `keys` (all columns of one unique key): `values` are set, `add` is
        added.

        A row that is not there begins with both; without both, one that is there stays as it is.
        """
        quote = self.dialect.quote
        updates = [f"{quote(name)} = :{name}" for name in values or ()]
        updates += [f"{quote(name)} = {quote(name)} + :{name}" for name in add or ()]
        row = {**keys, **(values or {}), **(add or {})}
        conflict = self.dialect.conflict(list(keys), updates)
        self._run(f"INSERT INTO {{{table}}} {self._row(row)} {conflict}", row, lambda cursor: None)

    def insert_select_adding(self, table: str, keys: tuple, sums: tuple, select: str, /,
                             **values) -> int:
        """INSERT what `select` finds (columns: `keys`, then `sums`); a row that is there has its
        `sums` added to.

        `keys` are all columns of one unique key. The SELECT needs a WHERE, without which SQLite
        misreads it.
        """
        # The table's own name, since the columns of the SELECT are in reach too.
        added = [f"{{{table}}}.{self.dialect.quote(name)} + {self.dialect.excluded_value(name)}"
                 for name in sums]
        return self._insert_select(table, keys, sums, select, added, values)

    def insert_select_replacing(self, table: str, keys: tuple, sums: tuple, select: str, /,
                                **values) -> int:
        """The same, but a row that is there gets the `sums` in place of its own."""
        found = [self.dialect.excluded_value(name) for name in sums]
        return self._insert_select(table, keys, sums, select, found, values)

    def _insert_select(self, table: str, keys: tuple, sums: tuple, select: str, results: list,
                       values: dict) -> int:
        quote = self.dialect.quote
        updates = [f"{quote(name)} = {result}" for name, result in zip(sums, results)]
        sql = (f"INSERT INTO {{{table}}} ({', '.join(map(quote, (*keys, *sums)))}) {select} "
               f"{self.dialect.conflict(list(keys), updates)}")
        return self._run(sql, values, lambda cursor: cursor.rowcount)

    def explain(self, sql: str, /, **values) -> list[dict]:
        """The engine's own plan for a statement."""
        return self.query(self.dialect.explain + sql, **values)

    def _row(self, values: dict) -> str:
        for name in values:
            if not is_word(name):
                raise ValueError(f"{name!r} cannot be a column")
        names = ", ".join(map(self.dialect.quote, values))
        return f"({names}) VALUES ({', '.join(':' + name for name in values)})"

    def _run(self, sql: str, values: dict, take, repeatable: bool = False):
        statement = self._cache.get(sql)
        if statement is None:
            if len(self._cache) >= CACHED:
                self._cache.clear()
            statement = self._cache[sql] = Statement(sql, self.dialect, self.name)
        text, bound = statement.render(self.dialect, values)
        if self.on_statement:
            self.on_statement(sql, values)
        try:
            return self._send(text, bound, take)
        except Lost as lost:
            if self.current or (lost.sent and not repeatable):
                raise
            return self._send(text, bound, take)

    def _send(self, text: str, bound: dict, take):
        raw = self._ready()
        try:
            self.dialect.limit(raw, self._target, self.left and self.left())
            return take(self.dialect.execute(raw, text, bound))
        except self.dialect.Error as error:
            if self.dialect.retry_lossy(raw, error):
                return take(self.dialect.execute(raw, text, bound))
            translated = self._translated(error)
            if isinstance(translated, Lost):
                self._drop()
            elif self.current and (isinstance(translated, Conflict)
                                   or not self.dialect.in_transaction(raw)):
                # rolled back already: what follows would stand alone
                self.current.broken = translated
            raise translated from None              # the driver's text may hold values of rows
        except BaseException:
            self._drop()
            raise

    @staticmethod
    def _fetch(cursor) -> list:
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    # Transactions

    def transaction(self) -> Transaction:
        """`with db.transaction():` commits at its end, rolls back on any exception, cannot be
        nested."""
        return Transaction(self)

    def snapshot(self) -> Transaction:
        """`with db.snapshot():` all that is read in it is as of one moment, however long it
        takes."""
        return Transaction(self, self.dialect.snapshot)

    def snapshot_blocks_writers(self) -> bool:
        """Whether nobody can write while a snapshot is open here: then who reads for long does
        without one."""
        return self.dialect.snapshot_blocks_writers(self._ready())

    def batch(self, work, retry_on=(Conflict, Lost)):
        """`work()` in one transaction, and its result.

        After one of the errors `retry_on` (a deadlock, a lock wait, a time limit, a lost
        connection) all of it is done again, 3 times at most; so `work` reads by itself what it acts
        on. A connection lost in the COMMIT is no such case: that may be stored.
        """
        for attempt in range(1, TRIES + 1):
            try:
                with self.transaction():
                    return work()
            except retry_on:
                if attempt == TRIES:
                    raise
            time.sleep(PAUSE * attempt)
        return None

    # The catalogue

    @property
    def text_keys(self) -> dict[str, bool]:
        """The tables of the app's whose `id` is text, as `meta` says (schema/keys.py), and whether
        two that differ in case alone are equal. Of all other tables it is a whole number."""
        if self._text_keys is None:
            from .schema.keys import known
            self._text_keys = known(self)
        return self._text_keys

    @text_keys.setter
    def text_keys(self, found: dict[str, bool] | None) -> None:
        self._text_keys = found

    def key(self, table: str, value):
        """A key of the table, or what a row of another one calls it, as we compare the two."""
        if isinstance(value, str) and self.text_keys.get(table):
            # not `casefold`: it makes `ss` of a sharp s, which are two for most databases
            return value.lower().rstrip(" ")
        return value

    def from_start(self, table: str) -> str:
        """The condition for all rows of a table, for pages in the order of its key."""
        return "1 = 1" if table in self.text_keys else "id > 0"

    def tables(self) -> set[str]:
        """All tables and views, by their names in the database. Ours as we spell them, where the
        database tells no `Users` from `users`."""
        return set(self._spelled(self.dialect.tables))

    def _spelled(self, sql: str) -> dict[str, dict]:
        """{the name of a table: its row}, of a query for all of them."""
        ours = self.name.spellings()
        return {ours.get(row["name"].lower(), row["name"]) if row["folds"] else row["name"]: row
                for row in self.query(sql)}

    def columns(self, table: str) -> set[str]:
        """The columns that a table of ours has in the database; none when it is not there."""
        return self.columns_of([table]).get(table, set())

    def columns_of(self, tables) -> dict[str, set[str]]:
        """The same for several tables in one question: {our table: columns}, without those that are
        not there."""
        found: dict = {}
        for table, row in self._of_tables(self.dialect.columns, tables):
            found.setdefault(table, set()).add(row["name"].lower())
        return found

    def catalogue(self, tables) -> dict[str, dict]:
        """What the engine knows of the columns of these tables of ours: {our table: {column: name,
        type, whole, collation, longest, is_view}}, without tables that are not there.
        `longest`: the characters that fit, None where no number is given."""
        found: dict = {}
        for table, row in self._of_tables(self.dialect.catalogue, tables):
            found.setdefault(table, {})[row["name"].lower()] = row
        return found

    def _of_tables(self, sql: str, tables):
        """(our table, a row about it) of a statement about the tables of a database."""
        ours = {self.name(table).lower(): table for table in tables}
        for row in self.query(sql, names=[self.name(table) for table in ours.values()]):
            yield ours[row["table_name"].lower()], row

    def foreign_keys(self, names: list[str]) -> list[dict]:
        """Those from or to these tables, which are as the database calls them, in lower case:
        `name`, `child`, `parent` and `on_delete`."""
        return self.query(self.dialect.foreign_keys, names=names)

    def indexes(self, table: str, unique: bool = False) -> dict[str, list[str]]:
        """`{index: columns}` of a table of ours in the database; with `unique`, those alone that
        let no two rows have the same values."""
        found: dict = {}
        for row in self.query(self.dialect.indexes, name=self.name(table)):
            if row["is_unique"] or not unique:
                column = (row["column_name"] or "").lower()     # none of an expression
                found.setdefault(row["name"], []).append(column)
        return found

    # The connection

    def connect(self) -> None:
        """Open the connection, when there is none."""
        if self._closed:
            raise DatabaseError("the database connection was closed")
        if self._raw is None:
            target = self.dialect.within(self._target, self.left()) if self.left else self._target
            try:
                self._raw = self.dialect.connect(target, self.readonly, self._create)
            except self.dialect.Error as error:
                raise self._translated(error) from None

    def _ready(self):
        if self.current and self.current.broken:
            raise self.current.broken
        if self._raw is not None and self.dialect.stale(self._raw):
            self._drop()
            if self.current:
                raise self.current.broken
        self.connect()
        return self._raw

    def invalidate(self) -> None:
        """Throw the connection away and forget any open transaction; the next use opens another.

        For who has caught an exception that a signal raised, outside of all transactions: it may
        have struck in mid-statement, where the next answer would be taken for another's, or between
        `with` and its block.
        """
        self._drop()
        self.current = None
        if self.journal:
            self.journal.rolled_back()

    def _drop(self) -> None:
        """Throw the connection away; an open transaction stays, broken, until its block ends."""
        raw, self._raw = self._raw, None
        if self.current and not self.current.broken:
            self.current.broken = Lost("the connection was lost in a transaction: nothing of it is "
                                       "stored")
        if raw is not None:
            try:                            # noqa: SIM105  contextlib is not loaded otherwise
                self.dialect.close(raw)
            except self.dialect.Error:
                pass                                # a dead one need not be closed politely

    def ping(self) -> None:
        """Raise DatabaseError when the connection is dead; never opens another one."""
        if self._raw is None:
            raise Lost("the connection to the database is gone")
        try:
            self.dialect.alive(self._raw)
        except self.dialect.Error as error:
            self._drop()
            raise self._translated(error) from None

    def _translated(self, error):
        """What is raised for a driver's exception. A trigger of the app may say in it whatever it
        likes."""
        translated = self.dialect.translated(error, self._target)
        if isinstance(translated, (Busy, Conflict, Lost)) or (
                isinstance(translated, Duplicate) and "@" not in str(translated)):
            # our own text, and common in any run
            return translated
        from jobs_lib.masking import without_secrets
        translated.args = (without_secrets(str(translated), self.hidden()),)
        return translated

    def interrupt(self) -> None:
        """End the statement in hand with an error, and its transaction; from a signal or another
        thread."""
        raw = self._raw
        if raw is not None:
            try:                            # noqa: SIM105  contextlib is not loaded otherwise
                self.dialect.interrupt(raw, self._target)
            except self.dialect.Error:
                # it was closed at this very moment, or the server is gone
                pass

    def close(self) -> None:
        """Close for good; an open transaction is rolled back."""
        self._drop()
        self._closed = True


def rows_behind(keys: tuple, name=str) -> str:
    """The condition for the rows behind the last one read, as an index over `keys` serves it."""
    (first, *rest), column = keys, name(keys[0])
    if not rest:
        return f"{column} > :last_{first}"
    return (f"{column} >= :last_{first} AND ({column} > :last_{first} "
            f"OR {rows_behind(tuple(rest), name)})")
