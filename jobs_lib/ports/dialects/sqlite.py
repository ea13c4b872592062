"""The words of SQLite 3.26 and later."""
from __future__ import annotations

import os
import sqlite3
from collections import namedtuple

from ...errors import Busy, DatabaseError, Duplicate, ReadOnly

name = "sqlite"
Error = sqlite3.Error
for_update = ""
explain = "EXPLAIN QUERY PLAN "
transactional_ddl = True
create_view = "CREATE VIEW"
table_options = ""
quotes = '"'

Target = namedtuple("Target", "path parameters timeout")

types = {
    "id": "INTEGER PRIMARY KEY AUTOINCREMENT",      # never gives an id twice, as InnoDB does not
    "ref": "BIGINT", "int": "INTEGER", "big": "BIGINT", "flag": "TINYINT", "real": "DOUBLE",
    "word": "VARCHAR(64)", "hash": "VARCHAR(64)", "label": "VARCHAR(190)", "path": "VARCHAR(500)",
    "address": "VARCHAR(254)", "name": "VARCHAR(255)", "line": "VARCHAR(2000)",
    "text": "TEXT", "json": "TEXT", "blob": "BLOB", "date": "DATE", "time": "DATETIME", "now": "DATETIME",
}


def now_default(db) -> str:
    """`DEFAULT ...` that gives the present second in UTC."""
    return "DEFAULT CURRENT_TIMESTAMP"


def parse(url: str, base: str, timeout: float) -> Target:
    """`sqlite:///relative.db` counts from `base`, `sqlite:////absolute.db` from the root."""
    path, _, parameters = url[len("sqlite://"):].partition("?")
    if len(path) < 2 or path[0] != "/":
        raise DatabaseError(f"[core] database = {url}: expected sqlite:///file.db or sqlite:////folder/file.db")
    return Target(os.path.join(os.path.abspath(base), path[1:]), parameters, timeout)


def connect(target: Target, readonly: bool, create: bool):
    """Open the file in autocommit; only `create` may make it."""
    path = target.path
    if not os.path.exists(path):
        if not create:
            raise DatabaseError(f"no SQLite file {path}: `jobs.py migrate` creates it, if the path is right")
        _create(path)
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    uri = f"file:{quoted}?mode={'ro' if readonly else 'rw'}&{target.parameters}".rstrip("&")
    raw = sqlite3.connect(uri, uri=True, timeout=target.timeout, isolation_level=None)
    if create and not readonly:
        raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA query_only = ON" if readonly else "PRAGMA synchronous = NORMAL")
    return raw


def _create(path: str) -> None:
    """An empty file that only its owner can read; the -wal and -shm files take over its mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise DatabaseError(f"cannot create the SQLite file {path}: {error.strerror}") from None


def execute(raw, sql: str, values: dict):
    return raw.execute(sql, values)


def begin(readonly: bool) -> str:
    """IMMEDIATE takes the write lock at once: a transaction that read first could not get it any more."""
    return "BEGIN" if readonly else "BEGIN IMMEDIATE"


def in_transaction(raw) -> bool:
    return raw.in_transaction


def interrupt(raw) -> None:
    raw.interrupt()


def alive(raw) -> None:
    raw.execute("SELECT 1")


def mark(value: str) -> str:
    return ":" + value


def literal(text: str) -> str:
    return text


def quote(identifier: str) -> str:
    return f'"{identifier}"'


def conflict(keys: list, updates: list) -> str:
    """What an INSERT does when the row is there."""
    target = ", ".join(map(quote, keys))
    return f"ON CONFLICT ({target}) DO " + ("UPDATE SET " + ", ".join(updates) if updates else "NOTHING")


def trouble(error: sqlite3.Error, target: Target) -> DatabaseError:
    """The driver's error as one of ours. Python before 3.11 gives no error code, so the words decide."""
    words = str(error)
    if "is locked" in words:
        return Busy(f"{target.path} is held by another writer for more than {target.timeout:g} s")
    if isinstance(error, sqlite3.IntegrityError) and words.startswith("UNIQUE constraint failed"):
        return Duplicate("a row with this unique key is there already: " + words.partition(": ")[2])
    if "readonly database" in words:
        return ReadOnly(f"{target.path} is opened for reading only: nothing was written")
    return DatabaseError(f"SQLite, {target.path}: {words}")


tables = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
columns = "SELECT name FROM pragma_table_info(:name)"
indexes = ("SELECT l.name AS name, i.name AS column_name FROM pragma_index_list(:name) l, pragma_index_info(l.name) i "
           "ORDER BY l.name, i.seqno")
