"""One module for each kind of database; base.py lists what each has."""
from __future__ import annotations

from jobs_lib.errors import DatabaseError


def load(url: str):
    """The dialect module for a database URL; only that one is imported."""
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        from . import sqlite
        return sqlite
    if scheme in ("mysql", "mariadb"):
        from . import mysql
        return mysql
    raise DatabaseError("[core] database: expected sqlite:///file.db or "
                        "mysql://user:password@host/name")


def target(url: str, base: str, timeout: float = 1.0):
    """What the dialect's `connect` needs; `base` is the folder that a relative file counts from.
    DatabaseError for a URL that makes no sense."""
    dialect = load(url)
    try:
        return dialect.parse(url, base, timeout)
    except ValueError as error:
        raise DatabaseError(f"[core] database: {error}") from None


def file_of(url: str, base: str) -> str:
    """The file of an SQLite database, whether it is there or not; "" for one on a server or in no
    file."""
    if url.partition(":")[0] != "sqlite":
        return ""
    try:
        return target(url, base).path
    except DatabaseError:                   # reported by whatever connects
        return ""
