"""The tables of the purge benchmark: filled once, and a fresh copy for each contestant."""
from __future__ import annotations

import os
import shutil
import time

from jobs_lib.database.connection import connect
from jobs_lib.database.schema import NAMES
from jobs_lib.database.schema.migrations import migrate
from tests.benchmarks.purge_cases import NOW, Case
from tests.support.databases import bulk

FILLED_AT_ONCE = 20_000


def fill(url: str, case: Case, rows: int, all_indexes: bool) -> None:
    """Make the tables and the rows."""
    db = connect(url, create=True)
    migrate(db, NOW)
    if case.index and not all_indexes:
        db.execute(f"DROP INDEX {case.index}" + ("" if db.dialect.by_key else f" ON {case.table}"))
    for start in range(1, rows + 1, FILLED_AT_ONCE):
        bulk(db, case.table, case.columns,
             [case.row(number, rows) for number in range(start, min(start + FILLED_AT_ONCE,
                                                                    rows + 1))])
    db.close()


class Files:
    """SQLite: one file is filled, each contestant gets a copy."""

    name, archiver = "SQLite", False

    def __init__(self, folder: str, case: Case, rows: int, all_indexes: bool) -> None:
        self.folder = folder
        for name in ("full.db", "full.db-wal", "full.db-shm"):
            self._remove(name)
        fill(f"sqlite:///{folder}/full.db", case, rows, all_indexes)

    def rest(self) -> float:
        """Nothing is left to be done."""
        return 0.0

    def fresh(self) -> str:
        """The URL of a full table."""
        for name in ("bench.db", "bench.db-wal", "bench.db-shm"):
            self._remove(name)
        shutil.copyfile(os.path.join(self.folder, "full.db"), os.path.join(self.folder, "bench.db"))
        os.sync()
        return f"sqlite:///{self.folder}/bench.db"

    def close(self) -> None:
        """The folder goes as a whole."""

    def _remove(self, name: str) -> None:
        path = os.path.join(self.folder, name)
        if os.path.exists(path):
            os.unlink(path)


class Server:
    """MariaDB: the table is refilled from a copy of it, all others are emptied."""

    name, archiver = "MariaDB", True

    def __init__(self, server, case: Case, rows: int, all_indexes: bool) -> None:
        self.server, self.case, self.url = server, case, server.database()
        fill(self.url, case, rows, all_indexes)
        self.database = self.url.partition("?")[0].rpartition("/")[2]
        self._do(f"CREATE TABLE full_table LIKE {case.table}",
                 f"INSERT INTO full_table SELECT * FROM {case.table}")

    def fresh(self) -> str:
        """The URL of a full table, when the server has come to rest."""
        table = self.case.table
        others = [name for name in NAMES if name not in (table, "meta", "schema_migrations")]
        self._do(*(f"TRUNCATE TABLE {name}" for name in others), f"DROP TABLE {table}",
                 f"CREATE TABLE {table} LIKE full_table",
                 f"INSERT INTO {table} SELECT * FROM full_table", f"ANALYZE TABLE {table}")
        self.rest()
        time.sleep(2)
        return self.url

    def rest(self) -> float:
        """Seconds until InnoDB has cleaned up."""
        began = time.perf_counter()
        while time.perf_counter() - began < 120:
            status = self.server.root("SELECT variable_value FROM information_schema.global_status"
                                      " WHERE variable_name = 'INNODB_HISTORY_LIST_LENGTH'")
            if int(status[0][0]) == 0:
                break
            time.sleep(0.02)
        return time.perf_counter() - began

    def close(self) -> None:
        """Make room for the next."""
        self.server.drop(self.url)

    def _do(self, *statements: str) -> None:
        import pymysql

        connection = pymysql.connect(user="root", unix_socket=self.server.socket,
                                     database=self.database, autocommit=True)
        with connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)
        connection.close()
