"""Databases for tests: opened, migrated, looked at as a whole."""
from __future__ import annotations

import os
import shutil
from datetime import datetime, timezone

from jobs_lib.ports.db import Database, connect
from jobs_lib.schema.migrations import migrate
from jobs_lib.schema.tables import tables

NOW = datetime(2026, 11, 24, 14, 30, 5, tzinfo=timezone.utc)


def migrated(url: str, **how) -> Database:
    """A connection to a database whose tables are made first, if they are not there."""
    database = connect(url, create=True, **how)
    migrate(database, NOW)
    return database


def rows(database: Database) -> dict:
    """Every row of every table of ours: `{table: [row, ...]}`, sorted, for a comparison before and after."""
    return {table.name: sorted(map(str, database.query(f"SELECT * FROM {{{table.name}}}"))) for table in tables()}


def empty(database: Database) -> None:
    """Remove all rows but those that `migrate` wrote: quicker than a new database on MariaDB."""
    for table in tables():
        if table.name not in ("meta", "schema_migrations"):
            database.execute(f"DELETE FROM {{{table.name}}}")


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
    size = 800 // len(columns)
    names = ", ".join(columns)
    with database.transaction():
        for start in range(0, len(values), size):
            part = values[start:start + size]
            marks = ", ".join("(" + ", ".join(f":v{row}_{at}" for at in range(len(columns))) + ")"
                              for row in range(len(part)))
            bound = {f"v{row}_{at}": value for row, line in enumerate(part) for at, value in enumerate(line)}
            database.execute(f"INSERT INTO {{{table}}} ({names}) VALUES {marks}", **bound)
