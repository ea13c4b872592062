"""The tests' own client of a database, over the drivers alone: what it finds is what any other
program finds there.

    db = Client("sqlite:////tmp/x/jobs.db")
    db.query("SELECT * FROM {users} WHERE id = :id", id=1)      [{"id": 1, ...}]

Statements are written as the product writes them: tables in braces, values by name. Times go in
and come out as the text that their column holds.
"""
from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from datetime import date, datetime, timezone
from urllib.parse import parse_qs, unquote, urlsplit

PATH = "sqlite:///"                  # what a file's URL begins with
LOCKED = (1205, 1213)               # MySQL: a lock was awaited too long, or given up to another
LOST = (2006, 2013)                 # MySQL: the connection


class Busy(Exception):
    """Another process holds what the statement needs."""


class Client:
    """A connection; each statement is a transaction of its own, unless `transaction()` says
    otherwise. `timeout`: seconds to wait for another's lock."""

    def __init__(self, url: str, timeout: float = 30) -> None:
        self.is_sqlite = url.startswith("sqlite")
        self._url, self._timeout = url, timeout
        if self.is_sqlite:
            self._raw = sqlite3.connect(url[len(PATH):], timeout=timeout, isolation_level=None)
        else:
            self._raw = _server(url, timeout)

    def query(self, sql: str, /, **values) -> list[dict]:
        """All rows of the answer."""
        cursor = self._run(sql, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def row(self, sql: str, /, **values) -> dict | None:
        """The first row, or None."""
        return next(iter(self.query(sql, **values)), None)

    def value(self, sql: str, /, **values):
        """The first column of the first row, or None."""
        found = self.row(sql, **values)
        return next(iter(found.values())) if found else None

    def execute(self, sql: str, /, **values) -> int:
        """How many rows it changed, or found on MySQL."""
        return self._run(sql, values).rowcount

    def as_it_is(self, sql: str) -> None:
        """Send the statement without a look at its braces and colons."""
        self._raw.cursor().execute(sql)

    def insert(self, table: str, /, **values) -> int:
        """Add a row; its id."""
        return self._run(f"INSERT INTO {{{table}}} ({', '.join(values)}) VALUES "
                         f"({', '.join(f':{name}' for name in values)})", values).lastrowid

    def insert_all(self, table: str, rows: list[dict]) -> None:
        """Add rows, which all have the same columns, in one transaction."""
        if not rows:
            return
        names, mark = list(rows[0]), "?" if self.is_sqlite else "%s"
        sql = (f"INSERT INTO {table} ({', '.join(names)}) VALUES "
               f"({', '.join([mark] * len(names))})")
        with self.transaction():
            self._raw.cursor().executemany(sql, [
                [_stored(row[name]) for name in names] for row in rows])

    def upsert(self, table: str, keys: dict, values: dict) -> None:
        """Change the row with these keys, or add it."""
        where = " AND ".join(f"{name} = :{name}" for name in keys)
        if self.row(f"SELECT 1 FROM {{{table}}} WHERE {where}", **keys) is None:
            self.insert(table, **keys, **values)
        elif values:
            self.execute(f"UPDATE {{{table}}} SET " + ", ".join(
                f"{name} = :{name}" for name in values) + f" WHERE {where}", **keys, **values)

    def tables(self) -> list[str]:
        rows = self.query(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
            "ORDER BY name" if self.is_sqlite else
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = "
            "DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name")
        return [row["name"] for row in rows]

    @contextmanager
    def transaction(self):
        """What is done within is stored as a whole, or not at all."""
        self._run("BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN", {})
        try:
            yield
        except BaseException:
            self._run("ROLLBACK", {})
            raise
        self._run("COMMIT", {})

    def close(self) -> None:
        self._raw.close()

    def _run(self, sql: str, values: dict, again: bool = False):
        bound, text = {}, re.sub(r"\{(\w+)\}", r"\1", sql)
        for name, value in values.items():
            if isinstance(value, (list, tuple, set)):       # WHERE id IN (:ids)
                parts = {f"{name}_{at}": each for at, each in enumerate(value)}
                text = re.sub(rf":{name}\b", ", ".join(f":{part}" for part in parts), text)
                bound.update(parts)
            else:
                bound[name] = value
        bound = {name: _stored(value) for name, value in bound.items()}
        try:
            if self.is_sqlite:
                return self._raw.execute(text, bound)
            cursor = self._raw.cursor()
            cursor.execute(re.sub(r":(\w+)", lambda found: f"%({found[1]})s" if found[1] in bound
                                  else found[0], text.replace("%", "%%")), bound)
            return cursor
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise Busy(str(error)) from None
            raise
        except Exception as error:
            code = error.args[0] if error.args and not self.is_sqlite else 0
            if code in LOCKED:
                raise Busy(str(error)) from None
            if code not in LOST or again:
                raise
            self._raw = _server(self._url, self._timeout)       # the server was started anew
            return self._run(sql, values, again=True)


def _stored(value):
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return value.isoformat() if isinstance(value, date) else value


def _server(url: str, timeout: float):
    import pymysql
    from pymysql.constants import CLIENT, FIELD_TYPE
    from pymysql.converters import conversions

    parts = urlsplit(url)
    converters = {**conversions, FIELD_TYPE.DECIMAL: _number, FIELD_TYPE.NEWDECIMAL: _number}
    for kind in (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATE):
        converters.pop(kind, None)
    raw = pymysql.connect(
        user=unquote(parts.username or ""), password=unquote(parts.password or ""),
        host=parts.hostname, port=parts.port or 3306, database=parts.path[1:],
        unix_socket=parse_qs(parts.query).get("unix_socket", [None])[0], charset="utf8mb4",
        autocommit=True, client_flag=CLIENT.FOUND_ROWS, conv=converters)
    with raw.cursor() as cursor:
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {max(1, int(timeout))}, "
                       "time_zone = '+00:00'")
    return raw


def _number(text: str):
    return int(text) if "." not in text else float(text)


def run_sql(url: str, sql: str) -> None:
    """What an operator or an app runs: statements as they are, each ending with `;` at the end of a
    line; lines of remarks are left out."""
    client = Client(url)
    if client.is_sqlite:
        client._raw.executescript(sql)
    else:
        for one in re.split(r";\s*(?:\n|\Z)", re.sub(r"(?m)^ *--.*$", "", sql)):
            if one.strip():
                client.as_it_is(one)
    client.close()
