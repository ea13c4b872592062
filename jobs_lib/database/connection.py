"""The database: the only module that runs SQL text, the same on SQLite and on MySQL or MariaDB."""
from __future__ import annotations

import time

from jobs_lib.errors import Broken, Busy, Conflict, DatabaseError, Duplicate, Lost, Missing

from .dialects import MIGRATE, File, parse
from .schema import Names
from .statement import Statement

TRIES = 3  # of a batch that met a deadlock, a lock wait or a lost connection
# how the error ends that there is no connection
REMEDY = "correct [core] database in config.ini, or see docs/failures.md, The database"
PAUSE = 0.1  # seconds before the second try, twice as long before the third


def connect(url: str, *, prefix: str = "", tables: dict | None = None, base: str = ".",
            readonly: bool = False, create: bool = False, timeout: float = 5.0,
            hidden=tuple, absent=lambda: MIGRATE) -> Database:
    """Open `url` (as in `[core] database`) now, so that what is wrong with it is raised here.

    prefix    put before the names of our tables, unless `tables` gives one its full name
    base      the folder that a relative SQLite path counts from
    readonly  the database itself refuses to write: for dry runs
    create    a missing SQLite file is made
    timeout   seconds to wait for another writer
    hidden    returns the secrets that no error may quote
    absent    returns how an error ends that there is no database, or none of our tables in it
    """
    try:
        target = parse(url, base, timeout)
    except ValueError as error:
        raise DatabaseError(f"[core] database: {error}") from None
    database = Database(dialect_of(target), target, Names(prefix, tables), readonly, create)
    database.hidden, database.absent = hidden, absent
    database.connect()
    return database


def dialect_of(target):
    """The dialect's module; only that one is imported."""
    if isinstance(target, File):
        from .dialects import sqlite
        return sqlite
    from .dialects import mysql
    return mysql


class Database:
    """One connection, opened again by itself when it was lost outside a transaction.

    left       when set, returns the seconds that are left: no call takes much longer than that
    journal    when set, is called for each transaction: `begin()`, then `committed()` or
               `rolled_back()` (runner/log.py)
    text_keys  the tables of the app's whose `id` is text, once the version was checked; of all
               other tables it is a whole number (schema/keys.py)
    """

    def __init__(self, dialect, target, name: Names, readonly: bool, create: bool) -> None:
        self.dialect, self.name, self.readonly = dialect, name, readonly
        self.for_update = "" if readonly else dialect.for_update
        self.journal = self.left = None
        self.hidden, self.absent = tuple, str
        self.current: Transaction | None = None  # the open transaction
        self.text_keys: frozenset[str] = frozenset()
        self.key_types: dict[str, str] = {}  # {one of them: the type of its key}, for migrate
        self._target, self._create = target, create
        self._raw = None
        self._closed = False
        self._cache: dict = {}  # {text: Statement}

    # Statements

    def query(self, sql: str, /, **values) -> list[dict]:
        """All rows."""
        return self._run(sql, values, _rows)

    def row(self, sql: str, /, **values) -> dict | None:
        """The first row of the result, or None."""
        rows = self.query(sql, **values)
        return rows[0] if rows else None

    def value(self, sql: str, /, **values):
        """The first column of the first row or None."""
        rows = self.query(sql, **values)
        return next(iter(rows[0].values())) if rows else None

    def pages(self, sql: str, /, *, key: str | tuple = "id", size: int, **values):
        """The rows of `sql`, as lists of at most `size` rows in the order of `key`; no empty list.

        `sql` ends with its WHERE. `key` is a column that `sql` reads, or several that are unique
        together: each page begins behind the last row of the one before, so no page costs more
        for those before it.
        """
        keys = (key,) if isinstance(key, str) else key
        behind = ""
        while True:
            rows = self.query(f"{sql}{behind} ORDER BY {', '.join(keys)} LIMIT :page_size",
                              **values, page_size=size)
            if len(rows) < size:
                break
            behind = f" AND {rows_behind(keys)}"
            values.update({f"last_{each}": rows[-1][each] for each in keys})
            yield rows
        if rows:
            yield rows

    def execute(self, sql: str, /, **values) -> int:
        """Run a statement that changes something; how many rows it matched."""
        return self._run(sql, values, _count)

    def insert(self, table: str, /, **values) -> int:
        """Add one row and return its id; Duplicate when a unique key is taken."""
        return self._run(self._insert(table, values, _marks(values)), values,
                         lambda cursor: cursor.lastrowid)

    def upsert(self, table: str, keys: dict, values: dict) -> None:
        """The row with these `keys` (all of one unique key) has these `values`, new or not."""
        row = {**keys, **values}
        updates = [f"{self.dialect.quote(name)} = :{name}" for name in values]
        self.execute(self._insert(table, row, _marks(row), keys, updates), **row)

    def insert_select(self, table: str, keys: tuple, sums: tuple, select: str, /, *, add: bool,
                      **values) -> int:
        """INSERT what `select` finds (columns: `keys`, then `sums`). Of a row that is there the
        `sums` are added to, or replaced.

        `keys` are all columns of one unique key. The SELECT needs a WHERE, without which SQLite
        misreads it.
        """
        quote, found = self.dialect.quote, self.dialect.excluded_value
        updates = [f"{quote(name)} = {found(name)}" for name in sums]
        if add:
            # the table's own name, since the columns of the SELECT are in reach too
            updates = [f"{each} + {{{table}}}.{quote(name)}" for each, name in zip(updates, sums)]
        return self.execute(self._insert(table, keys + sums, select, keys, updates), **values)

    def _insert(self, table: str, columns, rows: str, keys=(), updates=()) -> str:
        names = ", ".join(map(self.dialect.quote, columns))
        conflict = self.dialect.conflict(list(keys), updates) if keys else ""
        return f"INSERT INTO {{{table}}} ({names}) {rows} {conflict}"

    def _run(self, sql: str, values: dict, take):
        statement = self._cache.get(sql)
        if statement is None:
            statement = self._cache[sql] = Statement(sql, self.dialect, self.name)
        text, bound = statement.render(self.dialect, values)
        if self.current is None:
            self.connect()
        elif self.current.broken:
            raise self.current.broken
        raw = self._raw
        try:
            self.dialect.limit(raw, self._target, self.left and self.left())
            return take(self.dialect.execute(raw, text, bound))
        except self.dialect.Error as error:
            found = self._translated(error)
            if isinstance(found, Lost):
                self._drop()
            elif self.current and (isinstance(found, Conflict)
                                   or not self.dialect.in_transaction(raw)):
                # rolled back already: what follows would stand alone
                self.current.broken = found
            raise found from None  # the driver's text may hold values of rows
        except BaseException:
            self._drop()
            raise

    # Transactions

    def transaction(self) -> Transaction:
        """`with db.transaction():` commits at its end, rolls back on any exception, cannot be
        nested."""
        return self.snapshot() if self.readonly else Transaction(self, (self.dialect.begin,))

    def trial(self) -> Transaction:
        """`with db.trial():` tries statements, and rolls all of them back at its end."""
        return Transaction(self, (self.dialect.begin,), keep=False)

    def snapshot(self) -> Transaction:
        """`with db.snapshot():` all that is read in it is as of one moment, however long it
        takes. Where it `blocks_writers`, as the dialect asks, who reads for long does without."""
        return Transaction(self, self.dialect.snapshot)

    def batch(self, work, retry_on=(Conflict, Lost)):
        """`work()` in one transaction, and its result.

        After one of the errors `retry_on` (a deadlock, a lock wait, a time limit, a lost
        connection) all of it is done again, 3 times at most; so `work` reads by itself what it acts
        on. A connection lost in the COMMIT is no such case: that may be stored.
        """
        for attempt in range(1, TRIES):
            try:
                with self.transaction():
                    return work()
            except retry_on:
                time.sleep(PAUSE * attempt)
        with self.transaction():
            return work()

    # The catalogue

    def tables(self) -> dict[str, dict]:
        """All tables and views: {name in lower case: its `name`, and `engine` on a server}."""
        return {row["name"].lower(): row for row in self.query(self.dialect.tables)}

    def catalogue(self, tables) -> dict[str, dict]:
        """What the engine knows of the columns of these tables of ours: {our table: {column: name,
        type, whole, collation, longest, is_view}}, without tables that are not there.
        `longest`: the characters that fit, None where no number is given."""
        ours = {self.name(table).lower(): table for table in tables}
        found: dict = {}
        for row in self.query(self.dialect.catalogue, names=list(map(self.name, ours.values()))):
            columns = found.setdefault(ours[row["table_name"].lower()], {})
            columns[row["name"].lower()] = row
        return found

    def indexes(self, table: str) -> list[tuple[list[str], bool]]:
        """(columns, whether it is unique) of each index of a table of ours."""
        found: dict = {}
        for row in self.query(self.dialect.indexes, name=self.name(table)):
            found.setdefault(row["name"], []).append(row)
        # an expression in place of a column has no name
        return [([(row["column_name"] or "").lower() for row in rows],
                 all(row["is_unique"] for row in rows)) for rows in found.values()]

    # The connection

    def connect(self) -> None:
        """Open the connection where there is none, or the server has ended it."""
        if self._closed:
            raise DatabaseError("the database connection was closed")
        if self._raw is not None and not self.dialect.is_open(self._raw):
            self._drop()
        if self._raw is None:
            try:
                self._raw = self.dialect.connect(self._target, self.readonly, self._create,
                                                 self.left and self.left())
            except self.dialect.Error as error:
                found = self._translated(error)
                # the others say what to do
                if type(found) in (DatabaseError, Lost):
                    found.args = (f"{found}: {REMEDY}",)
                raise found from None
            except Missing as error:
                raise Broken(f"{error}{self.absent()}") from None

    def invalidate(self) -> None:
        """Throw the connection away and forget any open transaction; the next use opens another.

        For an exception that a signal raised: it may have struck in mid-statement, where the next
        answer would be taken for another's, or between `with` and its block.
        """
        self._drop()
        self.current = None
        if self.journal:
            self.journal.rolled_back()

    def _drop(self) -> None:
        """Throw the connection away; an open transaction stays, broken."""
        raw, self._raw = self._raw, None
        if self.current and not self.current.broken:
            self.current.broken = Lost("the connection was lost in a transaction: nothing of it is "
                                       "stored")
        if raw is not None:
            raw.close()

    def _translated(self, error):
        """What is raised for a driver's exception; a trigger may say anything in it."""
        translated = self.dialect.translated(error, self._target)
        if isinstance(translated, (Busy, Lost, Duplicate)) and "@" not in str(translated):
            return translated  # common in any run
        from jobs_lib.text.masking import without_secrets
        translated.args = (without_secrets(str(translated), self.hidden()),)
        return translated

    def interrupt(self) -> None:
        """End the statement in hand, from a signal or another thread."""
        raw = self._raw
        if raw is not None:
            try:
                self.dialect.interrupt(raw, self._target)
            except (*self.dialect.Error, DatabaseError):
                # it was closed at this very moment, or the server is gone
                pass

    def close(self) -> None:
        """Close for good; an open transaction is rolled back."""
        self._drop()
        self._closed = True


class Transaction:
    """What `with db.transaction():` holds.

    `broken` is why it is lost already (a deadlock, a dead connection): its further statements are
    refused, as the engine would run them outside any transaction, and its end raises even if the
    exception was swallowed.
    """

    def __init__(self, database: Database, begin: tuple, keep: bool = True) -> None:
        self._database, self._begin, self._keep = database, begin, keep
        self.broken: DatabaseError | None = None

    def __enter__(self) -> None:
        database = self._database
        if database.current:
            raise RuntimeError("a transaction is open already: they cannot be nested")
        database.connect()
        # from here on a lost connection is an error, and not reopened
        database.current = self
        try:
            for statement in self._begin:
                database.execute(statement)
            if database.journal:
                database.journal.begin()
        except DatabaseError:
            database.current = None
            raise
        except BaseException:
            database.invalidate()  # a signal, perhaps after the BEGIN
            raise

    def __exit__(self, kind, error, trace) -> None:
        database = self._database
        if database.current is not self:  # forgotten by `invalidate`
            self.broken = self.broken or Lost("the connection was thrown away in a transaction")
        stored = False
        try:
            if error is None and self._keep and not self.broken:
                self._commit()
                stored = True
            else:
                self._roll_back()
        finally:
            database.current = None
            if database.journal:
                (database.journal.committed if stored else database.journal.rolled_back)()
        if error is None and self.broken and self._keep:
            raise self.broken

    def _commit(self) -> None:
        try:
            self._database.execute("COMMIT")
        except Lost:
            raise DatabaseError("the connection was lost while a transaction was being stored, so "
                                "it may or may not be stored; the next run checks and continues "
                                "from there") from None
        except DatabaseError:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        database = self._database
        database.current = None  # so that a broken one's ROLLBACK is not refused
        if database._raw is not None and database.dialect.in_transaction(database._raw):
            try:
                database.execute("ROLLBACK")
            except DatabaseError:
                database.invalidate()


def rows_behind(keys: tuple) -> str:
    """The condition for the rows behind the last one read, as an index over `keys` serves it."""
    first, *rest = keys
    if not rest:
        return f"{first} > :last_{first}"
    return (f"{first} >= :last_{first} AND ({first} > :last_{first} "
            f"OR {rows_behind(tuple(rest))})")


def _marks(row) -> str:
    return f"VALUES ({', '.join(':' + name for name in row)})"


def _rows(cursor) -> list[dict]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def _count(cursor) -> int:
    return cursor.rowcount
