"""Databases for tests: opened, migrated, looked at as a whole."""
from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from tests.support.db import Client
from tests.support.product import (
    NAMES,
    SCHEMA_VERSION,
    Database,
    DatabaseError,
    Statement,
    bindable,
    connect,
    found,
    migrate,
)

DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
KEPT = "meta"                # what `migrate` wrote
# The server's own counts of statements that change more than rows.
CHANGES = [f"COM_{what}_{kind}" for kind in ("TABLE", "INDEX", "VIEW", "TRIGGER", "SEQUENCE")
           for what in ("ALTER", "CREATE", "DROP", "RENAME")]
TABLES = ("SELECT table_name AS name, auto_increment AS next_id FROM information_schema.tables "
          "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name")
NOW = datetime(2026, 11, 24, 14, 30, 5, tzinfo=timezone.utc)


def migrated(url: str, **how) -> Database:
    """A connection to a database whose tables are made first, if they are not there; every job
    may work on them, also where they are an app's."""
    database = connect(url, create=True, **how)
    if found(database) != SCHEMA_VERSION:
        migrate(database, NOW)
        database.execute("DELETE FROM {job_state}")         # beside an app's rows, all are paused
    return database


def columns(database: Database, table: str) -> set[str]:
    """The columns that a table of ours has; none where it is not there."""
    return set(database.catalogue([table]).get(table, ()))


def listen(database: Database, hear) -> None:
    """Call `hear(sql, values)` before each statement, which is in our notation."""
    run = database._run

    def heard(sql: str, values: dict, take):
        hear(sql, values)
        return run(sql, values, take)
    database._run = heard           # type: ignore[method-assign]


def lax(url: str) -> Database:
    """A connection as old apps have it: MySQL bends what does not fit, and each month has 31 days,
    and a day 0."""
    database = connect(url)
    if database.dialect.name != "sqlite":
        database.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
    return database


class Pool:
    """Migrated databases without rows, for one test after the other: on MariaDB it costs little to
    empty one again.

    An SQLite file is a copy of one that was made once. A database on MariaDB is not used again
    after a test that changed more than rows, here or elsewhere on the server; whoever is still
    connected to it, such as a process that a test killed, is cut off first.
    """

    def __init__(self, folder) -> None:
        self._template = os.path.join(folder, "template.db")
        self._free: list[str] = []
        self._as_made: dict = {}        # {url: rows of `meta`}
        self._seen: dict = {}           # {url: what the server had counted before the test}

    def sqlite(self, folder) -> str:
        """The URL of a new file in this folder."""
        if not os.path.exists(self._template):
            migrated(f"sqlite:///{self._template}").close()
        shutil.copy(self._template, os.path.join(folder, "jobs.db"))        # with its mode
        return f"sqlite:///{folder}/jobs.db"

    def mariadb(self, server) -> str:
        """The URL of a database on the server, until `give_back`."""
        if not self._free:
            self._free.append(server.database())
            database = migrated(self._free[-1])
            self._as_made[self._free[-1]] = database.query("SELECT * FROM {meta}")
            database.close()
        self._seen[self._free[-1]] = _changes(server)
        return self._free.pop()

    def give_back(self, server, url: str) -> None:
        """The test is over: the next one finds no row, and ids that begin at 1."""
        database = connect(url)
        try:
            database.execute("SET SESSION lock_wait_timeout = 2, innodb_lock_wait_timeout = 2")
            for other in database.query("SELECT id FROM information_schema.processlist "
                                        "WHERE db = DATABASE()"
                                        " AND id <> CONNECTION_ID()"):
                with suppress(DatabaseError):           # it has just left by itself
                    database.execute(f"KILL {other['id']}")
            for table in database.query(TABLES):
                if table["next_id"] not in (None, 1):
                    database.execute(f"TRUNCATE TABLE `{table['name']}`")
                elif table["next_id"] is None and table["name"] != KEPT:
                    database.execute(f"DELETE FROM `{table['name']}`")
            # what runs remember, such as a trusted clock, or when they last looked for files
            if database.query("SELECT * FROM {meta}") != self._as_made[url]:
                database.execute("DELETE FROM {meta}")
                for row in self._as_made[url]:
                    database.insert("meta", **row)
            if self._seen[url] == _changes(server):         # four of five tests change rows alone
                self._free.append(url)
            else:
                server.drop(url)
        except DatabaseError:           # it cannot be emptied: it goes with the server
            pass
        finally:
            database.close()


def _changes(server) -> tuple:
    """How often this server was told to change a table, an index or the like, by whomever."""
    return server.root(f"SHOW GLOBAL STATUS WHERE variable_name IN {tuple(CHANGES)}")


def transact(database: Database, *steps) -> None:
    """Do the steps, one after the other, in one transaction."""
    with database.transaction():
        for step in steps:
            step()


def rows(database: Database) -> dict:
    """Every row of every table of ours: `{table: [row, ...]}`, sorted, to be compared."""
    return {name: sorted(map(str, database.query(f"SELECT * FROM {{{name}}}"))) for name in NAMES}


def empty(database: Database) -> None:
    """Remove all rows but those that `migrate` wrote: quicker than a new database on MariaDB."""
    for name in NAMES:
        if name != KEPT:
            database.execute(f"DELETE FROM {{{name}}}")
    database.execute("DELETE FROM {meta} WHERE name IN ('doubt', 'accepted')")


def files(folder) -> dict:
    """{path: ((content, time), mode)} of all below a folder, the shared memory of SQLite aside."""
    return {str(path.relative_to(folder)): (
        path.is_file() and (path.read_bytes(), path.stat().st_mtime_ns), path.lstat().st_mode)
        for path in sorted(Path(folder).rglob("*")) if not path.name.endswith("-shm")}


def bulk(database: Database, table: str, columns: list, values: list) -> None:
    """Many rows at once, which the driver is given as they are; `values` is a list of tuples."""
    if isinstance(database, Client):
        database.insert_all(table, [dict(zip(columns, row)) for row in values])
        return
    if names := getattr(database, "names", None):               # tests/support/keyed.py
        stored = [names.stored(table, dict(zip(columns, row))) for row in values]
        columns, values = list(stored[0]), [tuple(row.values()) for row in stored]
    marks = [f"v{at}" for at in range(len(columns))]
    insert = Statement(f"INSERT INTO {{{table}}} ({', '.join(columns)}) VALUES "
                       f"({', '.join(f':{mark}' for mark in marks)})", database.dialect,
                       database.name)
    with database.transaction():
        database._raw.cursor().executemany(
            insert.plain, [dict(zip(marks, map(bindable, row))) for row in values])


def fill(db, table: str, row: dict, number: int, **changing: str) -> None:
    """Insert so many rows like this one, a power of ten; `changing`: SQL for a column, in which `n`
    is 0, 1, ..."""
    places = range(len(str(number)) - 1)
    n = " + ".join(f"{10 ** place} * t{place}.d" for place in places)
    joined = ", ".join(f"({DIGITS}) AS t{place}" for place in places)
    row = {name: value for name, value in row.items() if name not in changing}
    db.execute(f"INSERT INTO {{{table}}} ({', '.join([*row, *changing])}) SELECT "
               f"{', '.join([*(f':{name}' for name in row), *changing.values()])} "
               f"FROM (SELECT {n} AS n FROM {joined}) AS numbers", **row)


def added_up(db) -> str:
    """What was purged and what is still logged, added up, as a FROM with the columns of
    message_stats (docs/usage.md): the same before and after any purge. Only a connection of the
    product knows the day of a time that is none."""
    day = db.dialect.day("created_at") if hasattr(db, "dialect") else "SUBSTR(created_at, 1, 10)"
    return f"""(
SELECT user_id, alias_id, day, direction, status, SUM(email_count) AS email_count,
       SUM(bytes_used) AS bytes_used FROM (
  SELECT user_id, CASE WHEN alias_id = '' THEN 0 ELSE alias_id END AS alias_id, day, direction,
         status, email_count, bytes_used FROM {{message_stats}}
  UNION ALL
  SELECT user_id, COALESCE(alias_id, 0), {day}, direction, status, 1,
         CASE WHEN bytes_used BETWEEN 0 AND 1099511627776 AND bytes_used = ROUND(bytes_used)
              THEN bytes_used ELSE 0 END FROM {{message_logs}}
) AS parts GROUP BY user_id, alias_id, day, direction, status) AS totals"""
