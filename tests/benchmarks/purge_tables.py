"""The tables of the purge benchmark: rows in the order of their time, and a fresh copy for each contestant."""
from __future__ import annotations

import os
import shutil
import time
from datetime import datetime, timedelta, timezone

from jobs_lib import clock
from jobs_lib.ports.db import connect
from jobs_lib.schema.migrations import migrate
from tests.support.databases import bulk

NOW = datetime(2026, 11, 24, 14, 30, 5, tzinfo=timezone.utc)
OLD, YOUNG = timedelta(days=730), timedelta(days=300)
OTHERS_STAY = 1000                      # one row in so many is critical
DETAILS = "x" * 130


def row(number: int, rows: int) -> tuple:
    """Rows in the order of their time; the first half is older than the limit."""
    half = rows // 2
    if number <= half:
        moment = NOW - OLD + timedelta(days=300) * (number / half)
    else:
        moment = NOW - YOUNG + timedelta(days=290) * ((number - half) / half)
    severity = "critical" if number % OTHERS_STAY == 0 and number <= half else "info"
    return number, number * 7919 % 50_000, "someone", "sign-in", severity, "192.0.2.1", DETAILS, clock.text(moment)


COLUMNS = ["id", "user_id", "actor", "event", "severity", "ip", "details", "created_at"]


def fill(url: str, rows: int, drop_index: str) -> None:
    """Make the tables and the rows."""
    db = connect(url, create=True)
    migrate(db, NOW)
    if drop_index:
        db.execute(drop_index)
    for start in range(1, rows + 1, 20_000):
        bulk(db, "audit_logs", COLUMNS, [row(number, rows) for number in range(start, min(start + 20_000, rows + 1))])
    db.close()


class Files:
    """SQLite: one file is filled, each contestant gets a copy."""

    archiver = False

    def __init__(self, folder: str, rows: int, all_indexes: bool) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/full.db"
        fill(self.url, rows, "" if all_indexes else "DROP INDEX audit_logs_user")

    def rest(self) -> float:
        """Nothing is left to be done."""
        return 0.0

    def fresh(self) -> str:
        """The URL of a full table."""
        path = os.path.join(self.folder, "bench.db")
        for end in ("", "-wal", "-shm"):
            if os.path.exists(path + end):
                os.unlink(path + end)
        shutil.copyfile(os.path.join(self.folder, "full.db"), path)
        os.sync()
        return f"sqlite:///{path}"


class Server:
    """MariaDB: the table is filled anew from a copy of it."""

    archiver = True

    def __init__(self, server, rows: int, all_indexes: bool) -> None:
        self.server, self.url = server, server.database()
        fill(self.url, rows, "" if all_indexes else "DROP INDEX audit_logs_user ON audit_logs")
        self.name = self.url.partition("?")[0].rpartition("/")[2]
        self._do("CREATE TABLE full_table LIKE audit_logs", "INSERT INTO full_table SELECT * FROM audit_logs")

    def fresh(self) -> str:
        """The URL of a full table, when the server has come to rest."""
        self._do("DROP TABLE audit_logs", "CREATE TABLE audit_logs LIKE full_table",
                 "INSERT INTO audit_logs SELECT * FROM full_table", "ANALYZE TABLE audit_logs")
        self.rest()
        time.sleep(2)
        return self.url

    def rest(self) -> float:
        """Seconds until InnoDB has cleaned up."""
        began = time.perf_counter()
        while time.perf_counter() - began < 60:
            status = self.server.root("SELECT variable_value FROM information_schema.global_status"
                                      " WHERE variable_name = 'INNODB_HISTORY_LIST_LENGTH'")
            if int(status[0][0]) == 0:
                break
            time.sleep(0.02)
        return time.perf_counter() - began

    def _do(self, *statements: str) -> None:
        import pymysql

        connection = pymysql.connect(user="root", unix_socket=self.server.socket, database=self.name, autocommit=True)
        with connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)
        connection.close()
