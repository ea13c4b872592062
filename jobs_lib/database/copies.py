"""A private copy of an SQLite database, also of one that is in use, and which rows two copies have
differently."""
from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from jobs_lib.errors import DatabaseError, UsageError
from jobs_lib.folders import new_file
from jobs_lib.records import namedtuple

from . import dialects

Change = namedtuple("Change", "kind key before after")
Change.__doc__ = """kind: added, changed or deleted; key, before and after: {column: value}, empty
where there is none."""

ONLY_SQLITE = ("a sandbox is a copy of an SQLite file, and this database is on a server: look at "
               "the dry run (the same without --sandbox), or let the job run on a copy that you "
               "make there")


def database_file(url: str, base: str) -> str:
    """The path of the SQLite file behind `[core] database`; UsageError when it is not one."""
    path = dialects.file_of(url, base)
    if not path:
        raise UsageError(ONLY_SQLITE)
    if not os.path.isfile(path):
        raise DatabaseError(f"no SQLite file {path}: `jobs.py migrate` makes it, if the path is "
                            "right")
    return path


def size(path: str) -> int:
    """Bytes of the database, with what its journal holds that is not yet in it."""
    return sum(os.path.getsize(path + suffix) for suffix in ("", "-wal")
               if os.path.exists(path + suffix))


def copy(url: str, base: str, target: str) -> None:
    """Write what the database holds at one moment to a new file `target`.

    SQLite's own backup, in one step: with WAL it is one long read that no writer waits for, and in
    steps it would begin again after each write of another process. The original is opened for
    reading only.
    """
    dialect = dialects.load(url)
    source = dialects.target(url, base, 5.0)
    try:
        with closing(dialect.connect(source, True, False)) as original:
            new_file(target).close()
            with closing(sqlite3.connect(target)) as made:
                original.backup(made)
    except sqlite3.Error as error:
        raise dialect.translated(error, source) from None


def differences(before: str, after: str, table: str):
    """Every Change of a table, by its key: what is in the file `before` and what in the file
    `after`."""
    with closing(sqlite3.connect(after)) as raw:
        raw.execute("ATTACH DATABASE ? AS old", (before,))
        columns = [(row[1], row[5])
                   for row in raw.execute(f"PRAGMA main.table_info({_quote(table)})")]
        names = [name for name, _ in columns]
        key = [name for name, in_key in columns if in_key] or names
        for new, old in _pairs(raw, table, names, key) if names else ():
            whole = new or old
            kind = "changed" if new and old else "added" if new else "deleted"
            yield Change(kind, {name: whole[name] for name in key}, old, new)


def _pairs(raw, table: str, names: list, key: list):
    """(row now, row before) of every row that is not the same in both, {} where there is none."""
    t = _quote(table)
    same = " AND ".join(f"a.{_quote(name)} IS b.{_quote(name)}" for name in key)
    other = " OR ".join(f"a.{_quote(name)} IS NOT b.{_quote(name)}" for name in names)
    order = ", ".join(f"a.{_quote(name)}" for name in key)
    first = _quote(key[0])
    count = len(names)
    for row in raw.execute(f"SELECT a.*, b.{first} IS NULL, b.* FROM main.{t} AS a LEFT "
                           f"JOIN old.{t} AS b ON {same}"
                           f" WHERE b.{first} IS NULL OR {other} ORDER BY {order}"):
        new, missing, old = row[:count], row[count], row[count + 1:]
        yield dict(zip(names, new)), {} if missing else dict(zip(names, old))
    for row in raw.execute(f"SELECT a.* FROM old.{t} AS a LEFT JOIN main.{t} AS b ON {same}"
                           f" WHERE b.{first} IS NULL ORDER BY {order}"):
        yield {}, dict(zip(names, row))


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
