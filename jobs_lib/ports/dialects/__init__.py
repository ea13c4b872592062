"""What a dialect is: a module of words for one kind of database, never of rules.

A dialect module has
    name, Error (the driver's root error), for_update, begin(readonly), explain, transactional_ddl,
    parse(url, base, timeout) -> target       connect(target, readonly, create) -> a driver connection in autocommit
    execute(raw, sql, values) -> cursor       mark(name), literal(text), quote(name), conflict(keys) for SQL text
    trouble(error, target) -> DatabaseError   in_transaction(raw), alive(raw), interrupt(raw)
    tables(), columns(name), indexes(name)    (sql, values) that read the catalogue
    types, column defaults and table options for the schema
"""
from __future__ import annotations

from importlib import import_module

from ...errors import Busy, DatabaseError

SCHEMES = {"sqlite": "sqlite", "mysql": "mysql", "mariadb": "mysql"}


class Lost(DatabaseError):
    """The connection is gone, and with it the transaction that was open on it."""


class Conflict(Busy):
    """A deadlock or a lock wait: this transaction was the one to give way; done again it may well pass."""


def load(url: str):
    """The dialect module for a database URL; only that one is imported."""
    scheme, found, _ = url.partition("://")
    if not found or scheme not in SCHEMES:
        raise DatabaseError("[core] database: expected sqlite:///file.db or mysql://user:password@host/name")
    return import_module(f"{__name__}.{SCHEMES[scheme]}")
