"""The database of an app whose keys are text, where a test goes on speaking of numbers.

    url = keyed.make(url, keyed.UUIDS)          the app's tables, then ours
    bench = Bench(folder, url, keys=keyed.UUIDS)
    bench.table("users", [{"id": 7}])           stored with the key that stands for 7
    bench.ids("users") == [7]                   and read back

So the same test runs on numbers and on any kind of keys. What the jobs do is never translated.
"""
from __future__ import annotations

from collections import namedtuple
from hashlib import md5
from uuid import UUID

import pytest

from tests.servers.mariadb import MYSQL
from tests.support.product import app_tables, connect, ddl, migrate, table

from .databases import NOW

# `mysql`, `sqlite`: the type of the columns; `make(number)`: the key that stands for it
Keys = namedtuple("Keys", "name mysql sqlite make")
CI = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"


def _numeric(number: int) -> str:
    """`007`, `12e3`, `0x1F`: what somebody may take for a number."""
    return (f"00{number}", f"{number}e3", f"0x{number:X}", f"{number}.0")[number % 4]


def _mixed(number: int) -> str:
    """Keys that differ in case alone: `kEy` and `KEY` are two."""
    return "".join(letter.upper() if number >> at & 1 else letter
                   for at, letter in enumerate("abcdefghijklmnopqrstuvwxyz"))


UUIDS = Keys("uuid", f"CHAR(36) {CI}", "CHAR(36)",
             lambda number: str(UUID(bytes=md5(b"%d" % number).digest())))
ULIDS = Keys("ulid", "CHAR(26) CHARACTER SET ascii COLLATE ascii_bin", "TEXT",
             "01JD2P4Z6Y{:016}".format)
NUMERIC = Keys("numeric", f"VARCHAR(191) {CI}", "VARCHAR(191)", _numeric)
MIXED = Keys("mixed", "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "TEXT", _mixed)
# MariaDB's own type of 16 octets: '' is none of its values,
# nor is a UUID that RFC 9562 does not define.
OWN_TYPE = Keys("uuid_type", "UUID", "UUID",
                lambda number: str(UUID(bytes=md5(b"%d" % number).digest(), version=4)))
KINDS = (UUIDS, ULIDS, NUMERIC, MIXED, OWN_TYPE)


# The jobs add rows to the audit log, so its keys are numbers: it is ours.
TEXT = [name for name in app_tables.TABLES if name != "audit_logs"]
WITH_KEYS = [name for name in TEXT if table(name).key == ("id",)]


def columns(name: str) -> set[str]:
    """The columns of a table, of the app's or of ours, that hold the app's keys."""
    found = {column.name for column in table(name).columns if column.target in ("*", *TEXT)}
    return found | ({"id"} if name in WITH_KEYS else set())


def make(url: str, keys: Keys) -> str:
    """Make the app's tables with such keys in a database without tables, then ours; the URL."""
    if MYSQL and keys is OWN_TYPE and url.startswith("mysql"):
        pytest.skip("MySQL has no type UUID")
    db = connect(url, create=True)
    before, kind = dict(db.dialect.types), getattr(keys, db.dialect.name)
    db.dialect.types.update(id=f"{kind} NOT NULL PRIMARY KEY", ref=kind)
    try:
        for name in TEXT:
            whole = table(name)
            cols = tuple(column._replace(type="big") if column.type == "ref"
                         and column.name not in columns(name) else column
                         for column in whole.columns)
            for sql in ddl.create_table(db, whole._replace(columns=cols)):
                db.execute(sql)
    finally:
        db.dialect.types.update(before)
    migrate(db, NOW)
    db.close()
    return url


class Names:
    """Which key stands for which number, on a connection of a test's own: from now on it is given
    numbers and gives numbers."""

    def __init__(self, db, keys: Keys) -> None:
        self.keys = keys
        self.numbers: dict = {}
        self._next = 1_000_000
        insert, query, execute = db.insert, db.query, db.execute

        def add(table: str, /, **values):
            row = self.stored(table, values)
            id = insert(table, **row)
            return self.numbers[row["id"]] if table in WITH_KEYS else id

        db.names, db.insert = self, add
        db.query = lambda sql, /, **values: [
            self._read(row) for row in query(sql, **self._bound(sql, values))]
        db.execute = lambda sql, /, **values: execute(sql, **self._bound(sql, values))

    def key(self, number):
        """The key that stands for a number; anything else as it is."""
        if type(number) is not int:
            return number
        key = self.keys.make(number)
        self.numbers[key] = number
        return key

    def stored(self, name: str, row: dict) -> dict:
        """A row as it is stored, with a key of its own if it was given none."""
        wanted = columns(name)
        if name in WITH_KEYS and row.get("id") is None:
            self._next += 1
            row = {**row, "id": self._next}
        return {column: self.key(value) if column in wanted else value
                for column, value in row.items()}

    def _read(self, row: dict) -> dict:
        """A row with numbers again. A key that the jobs have made stays as it is."""
        return {column: self.numbers.get(value, value) if isinstance(value, str) else value
                for column, value in row.items()}

    def _bound(self, sql: str, values: dict) -> dict:
        """The values of a statement about the app's rows: what is called an id is one."""
        if not any(f"{{{name}}}" in sql for name in WITH_KEYS):
            return values
        return {name: value if not name.endswith(("id", "ids")) else
                [self.key(each) for each in value] if isinstance(value, (list, tuple, range)) else
                self.key(value) for name, value in values.items()}
