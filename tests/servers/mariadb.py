"""A private MariaDB: a server of our own in a temporary folder, on a socket and on a loopback port.

Its defaults are as unhelpful as a shared host's (Latin-1, another time zone, no strict mode), so
that the tests prove what our session settings do. Its data is worth nothing, so it never waits for
the disk.
"""
from __future__ import annotations

import os
import shutil
import signal
import subprocess

from tests.servers.process import Server
from tests.support.require import program

USER, PASSWORD = "jobs", "test-pass@word/1"
ENCODED = "test-pass%40word%2F1"
MEMORY_DISK = "/dev/shm"
MYSQL = os.environ.get("JOBS_TEST_MYSQLD", "")  # a MySQL server's program, to run in its place
AS_ROOT = ["--user=root"] if os.geteuid() == 0 else []

HOSTILE = ("--character-set-server=latin1", "--default-time-zone=-05:00", "--sql-mode=",
           "--transaction-isolation=REPEATABLE-READ")
FAST = ("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
        "--innodb-buffer-pool-size=128M", "--innodb-fast-shutdown=2", "--performance-schema=OFF",
        "--skip-log-bin", "--skip-name-resolve", "--max-connections=300",
        *(("--mysqlx=OFF", "--information-schema-stats-expiry=0", "--secure-file-priv=NULL")
          if MYSQL else ("--innodb-log-file-size=48M", "--skip-slave-start")))


class MariaDB(Server):
    """`with MariaDB() as server: url = server.database()`; `options` go to the server as they are;
    `place`: another folder than the memory disk."""

    def __init__(self, *options: str, place: str = "") -> None:
        super().__init__(place or _place())
        # short: a socket's path ends at 107 characters
        self.socket, self._number = str(self.folder / "s"), 0
        # Its own tmpdir: a server that starts removes all `#sql*` files from it, whosever they are.
        self.options = ["--no-defaults", f"--datadir={self.folder}/data",
                        f"--tmpdir={self.folder}", *AS_ROOT]
        self.own = options

    def __enter__(self) -> MariaDB:
        try:
            self._install()
            self.start()
            self.root(f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")
            self.root(f"GRANT ALL PRIVILEGES ON `test\\_%`.* TO '{USER}'@'%'")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _install(self) -> None:
        """Make the system tables."""
        install = [MYSQL, "--initialize-insecure", *self.own] if MYSQL else [
            program("mariadb-install-db", "mariadb-server"),
            "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        done = subprocess.run([install[0], *self.options, *install[1:]],
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{install[0]} failed:\n{done.stdout}{done.stderr}")

    def command(self) -> list[str]:
        return [MYSQL or program("mariadbd", "mariadb-server"), *self.options, *FAST, *HOSTILE,
                f"--socket={self.socket}", f"--pid-file={self.folder}/pid",
                f"--port={self.port}", "--bind-address=127.0.0.1", *self.own]

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the server; SIGKILL for a crash."""
        super().stop(how)

    def database(self, name: str = "") -> str:
        """The URL of a new, empty database, called so or by a number."""
        self._number += 1
        name = f"test_{name or self._number}"
        self.root(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database that `database` made."""
        self.root(f"DROP DATABASE IF EXISTS `{url.partition('?')[0].rpartition('/')[2]}`")

    def url(self, name: str, tcp: bool = False) -> str:
        """A database's URL, by socket or by TCP."""
        if tcp:
            return f"mysql://{USER}:{ENCODED}@127.0.0.1:{self.port}/{name}"
        return f"mysql://{USER}:{ENCODED}@localhost/{name}?unix_socket={self.socket}"

    def root(self, sql: str) -> tuple:
        """Run one statement as the server's root and return its rows."""
        import pymysql

        # TLS, which it would use on a socket too, costs more than all the rest
        with pymysql.connect(user="root", unix_socket=self.socket, charset="utf8mb4",
                             autocommit=True, ssl_disabled=True) as it, it.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def answers(self) -> bool:
        import pymysql

        try:
            self.root("SELECT 1")
        except pymysql.MySQLError:
            return False
        return True


def _place() -> str | None:
    """The memory disk if it has room, where making a table costs a fifth; else the usual folder."""
    is_roomy = os.access(MEMORY_DISK, os.W_OK) and shutil.disk_usage(MEMORY_DISK).free > 2 ** 31
    return MEMORY_DISK if is_roomy else None
