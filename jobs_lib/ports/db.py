"""The database: the only module that runs SQL text, the same on SQLite and on MySQL or MariaDB."""
from __future__ import annotations

import time

from ..errors import DatabaseError
from . import dialects
from .dialects import Conflict, Lost
from .notation import Statement

TRIES = 3                    # of a batch that met a deadlock, a lock wait or a lost connection
PAUSE = 0.1                  # seconds before the second try, doubled before the third
CACHED = 500                 # translated statements kept; jobs have a few dozen


def connect(url, *, prefix="", tables=None, base=".", readonly=False, create=False, timeout=5.0) -> Database:
    """Open `url` (contract.md, `[core] database`) now, so that what is wrong with it shows here."""
    dialect = dialects.load(url)
    names = _Names(prefix, tables or {})
    database = Database(dialect, dialect.parse(url, base, timeout), names, readonly, create)
    database.connect()
    return database


class _Names:
    """From our table names to those in the database."""

    def __init__(self, prefix: str, mapped: dict) -> None:
        for name in (*mapped.values(), prefix + "x"):
            if not (name.isascii() and name.isidentifier()):
                raise DatabaseError(f"{name!r} cannot be a table's name: expected letters, digits and _")
        self.prefix, self.mapped = prefix, mapped

    def __call__(self, table: str) -> str:
        from ..schema.tables import NAMES
        if table not in NAMES:
            raise DatabaseError(f"no table {table!r} in schema/tables.py")
        return self.mapped.get(table) or self.prefix + table


class Database:
    """One connection. `on_statement(sql, values)`, when set, sees each statement before it runs."""

    def __init__(self, dialect, target, names, readonly: bool, create: bool) -> None:
        self.dialect, self.readonly, self.name = dialect, readonly, names
        self.for_update = dialect.for_update
        self.on_statement = None
        self._target, self._create = target, create
        self._raw = None
        self._cache: dict = {}
        self._closed = False
        self._transaction: Transaction | None = None

    # Statements

    def query(self, sql: str, /, **values) -> list:
        """All rows, as dicts. Outside a transaction a lost connection is opened again, once: reading is safe to repeat."""
        try:
            return self._run(sql, values, True)
        except Lost:
            if self._transaction:
                raise
            return self._run(sql, values, True)

    def row(self, sql: str, /, **values) -> dict | None:
        """The first row or None."""
        rows = self.query(sql, **values)
        return rows[0] if rows else None

    def value(self, sql: str, /, **values):
        """The first column of the first row or None."""
        rows = self.query(sql, **values)
        return next(iter(rows[0].values())) if rows else None

    def execute(self, sql: str, /, **values) -> int:
        """Run a statement that changes something; the number of rows it matched, changed or not."""
        return self._run(sql, values, False)[0]

    def insert(self, table: str, /, **values) -> int:
        """Add one row and return its id; Duplicate when a unique key is taken."""
        return self._run(f"INSERT INTO {{{table}}} {self._columns(values)}", values, False)[1]

    def upsert(self, table: str, keys: dict, values: dict | None = None, add: dict | None = None) -> None:
        """One row by its key: `values` are set, `add` is added to what is there. `keys` is the whole unique key."""
        quote = self.dialect.quote
        updates = [f"{quote(name)} = :{name}" for name in values or ()]
        updates += [f"{quote(name)} = {quote(name)} + :{name}" for name in add or ()]
        row = {**keys, **(values or {}), **(add or {})}
        conflict = self.dialect.conflict(list(keys), updates)
        self._run(f"INSERT INTO {{{table}}} {self._columns(row)} {conflict}", row, False)

    def explain(self, sql: str, /, **values) -> list:
        """The engine's own plan of a statement, as rows."""
        return self.query(self.dialect.explain + sql, **values)

    def _columns(self, values) -> str:
        for name in values:
            if not (name.isascii() and name.isidentifier()):
                raise ValueError(f"not a column name: {name!r}")
        names = ", ".join(map(self.dialect.quote, values))
        return f"({names}) VALUES ({', '.join(':' + name for name in values)})"

    def _run(self, sql: str, values: dict, fetch: bool):
        statement = self._cache.get(sql)
        if statement is None:
            if len(self._cache) >= CACHED:
                self._cache.clear()
            statement = self._cache[sql] = Statement(sql, self.dialect, self.name)
        text, bound = statement.render(self.dialect, values)
        if self.on_statement:
            self.on_statement(sql, values)
        return self._send(text, bound, fetch)

    def _send(self, text: str, bound: dict, fetch: bool):
        if self._transaction and self._transaction.broken:
            raise self._transaction.broken
        raw = self._raw or self.connect()
        try:
            cursor = self.dialect.execute(raw, text, bound)
            if not fetch:
                return cursor.rowcount, cursor.lastrowid
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]
        except self.dialect.Error as error:
            trouble = self.dialect.trouble(error, self._target)
            if isinstance(trouble, Lost):
                self.invalidate()
            elif self._transaction and isinstance(trouble, Conflict):
                self._transaction.broken = trouble
            raise trouble from None
        except BaseException:
            # A raised signal in mid-statement: what the server answers next would be taken for the next statement's.
            self.invalidate()
            raise

    # Transactions

    def transaction(self) -> Transaction:
        """`with db.transaction():` commits at the end, rolls back on any exception; it cannot be nested."""
        return Transaction(self)

    def batch(self, work):
        """`work()` in one transaction; all of it again after a deadlock, a lock wait or a lost connection."""
        for attempt in range(1, TRIES + 1):
            try:
                with self.transaction():
                    return work()
            except (Conflict, Lost):
                if attempt == TRIES:
                    raise
            time.sleep(PAUSE * attempt)

    # The catalogue

    def tables(self) -> set:
        """The names of all tables and views, as the database has them."""
        return {row["name"] for row in self.query(self.dialect.tables)}

    def columns(self, table: str) -> set:
        """The column names of a table of ours; empty when it is not there."""
        return {row["name"] for row in self.query(self.dialect.columns, name=self.name(table))}

    def indexes(self, table: str) -> dict:
        """`{index name: [columns]}` of a table of ours, unique ones included."""
        found: dict = {}
        for row in self.query(self.dialect.indexes, name=self.name(table)):
            found.setdefault(row["name"], []).append(row["column_name"])
        return found

    # The connection

    def connect(self):
        """Open the connection, when there is none."""
        if self._closed:
            raise DatabaseError("the database connection was closed")
        if self._raw is None:
            try:
                self._raw = self.dialect.connect(self._target, self.readonly, self._create)
            except self.dialect.Error as error:
                raise self.dialect.trouble(error, self._target) from None
        return self._raw

    def invalidate(self) -> None:
        """Throw the connection away, with any open transaction: it may be in mid-statement. The next use opens another."""
        raw, self._raw = self._raw, None
        if self._transaction and not self._transaction.broken:
            self._transaction.broken = Lost("the connection was lost within a transaction: nothing of it was stored")
        if raw is not None:
            try:
                raw.close()
            except self.dialect.Error:
                pass                     # a dead one cannot be closed politely

    def ping(self) -> None:
        """Raise DatabaseError when the connection is dead; never opens another one."""
        try:
            self.dialect.alive(self._raw)
        except self.dialect.Error as error:
            raise self.dialect.trouble(error, self._target) from None

    def interrupt(self) -> None:
        """Stop the statement in hand, from a signal handler or another thread, where the driver can."""
        if self._raw is not None:
            self.dialect.interrupt(self._raw)

    def close(self) -> None:
        """Close for good; an open transaction is rolled back."""
        self.invalidate()
        self._closed = True


class Transaction:
    """What `with db.transaction()` holds; `broken` is why its statements can no longer count."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.broken: DatabaseError | None = None

    def __enter__(self) -> None:
        database = self._database
        if database._transaction:
            raise RuntimeError("a transaction is open already")
        try:
            database._run(database.dialect.begin(database.readonly), {}, False)
        except Lost:
            database._run(database.dialect.begin(database.readonly), {}, False)      # nothing was done yet
        database._transaction = self

    def __exit__(self, kind, error, trace) -> None:
        database = self._database
        try:
            if error is None and not self.broken:
                database._run("COMMIT", {}, False)
                return
        except DatabaseError:
            self._roll_back()
            raise
        finally:
            database._transaction = None
        self._roll_back()
        if error is None and self.broken:
            raise self.broken

    def _roll_back(self) -> None:
        database = self._database
        database._transaction = None
        if database._raw is not None and database.dialect.in_transaction(database._raw):
            try:
                database._run("ROLLBACK", {}, False)
            except DatabaseError:
                database.invalidate()
