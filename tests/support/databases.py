"""Databases for tests: opened, migrated, looked at as a whole."""
from __future__ import annotations

import os
import shutil
from datetime import datetime, timezone

from jobs_lib.ports.db import Database, connect
from jobs_lib.schema import NAMES
from jobs_lib.schema.migrations import migrate

NOW = datetime(2026, 11, 24, 14, 30, 5, tzinfo=timezone.utc)


def migrated(url: str, **how) -> Database:
    """A connection to a database whose tables are made first, if they are not there."""
    database = connect(url, create=True, **how)
    migrate(database, NOW)
    return database


def transact(database: Database, *steps) -> None:
    """Do the steps, one after the other, in one transaction."""
    with database.transaction():
        for step in steps:
            step()


def fail(error):
    """A step that raises `error`."""
    def step():
        raise error
    return step


def rows(database: Database) -> dict:
    """Every row of every table of ours: `{table: [row, ...]}`, sorted, for a comparison before and after."""
    return {name: sorted(map(str, database.query(f"SELECT * FROM {{{name}}}"))) for name in NAMES}


def empty(database: Database) -> None:
    """Remove all rows but those that `migrate` wrote: quicker than a new database on MariaDB."""
    for name in NAMES:
        if name not in ("meta", "schema_migrations"):
            database.execute(f"DELETE FROM {{{name}}}")


def files(folder) -> dict:
    """Name, content and times of all files of a folder, the shared memory of SQLite aside."""
    found = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not name.endswith("-shm"):
            with open(path, "rb") as file:
                found[name] = (file.read(), os.stat(path).st_mtime_ns)
    return found


def copy(database_file, target) -> None:
    """A copy of an SQLite file that nobody has open."""
    shutil.copyfile(database_file, target)


def bulk(database: Database, table: str, columns: list, values: list) -> None:
    """Many rows in few statements; `values` is a list of tuples."""
    size = max(1, 200 // len(columns))           # SQLite looks for each name among all of a statement
    names = ", ".join(columns)
    with database.transaction():
        for start in range(0, len(values), size):
            part = values[start:start + size]
            marks = ", ".join("(" + ", ".join(f":v{row}_{at}" for at in range(len(columns))) + ")"
                              for row in range(len(part)))
            bound = {f"v{row}_{at}": value for row, line in enumerate(part) for at, value in enumerate(line)}
            database.execute(f"INSERT INTO {{{table}}} ({names}) VALUES {marks}", **bound)
