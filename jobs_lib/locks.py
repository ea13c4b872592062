"""What keeps two runs of one job apart: a lock file, a lock in the database, or both.

Both belong to something that the system ends with the process (an open file, a connection), so a killed run
leaves nothing behind that needs a hand. A time-to-live is never used: it ends too early or too late.
"""
from __future__ import annotations

import fcntl
import os

from .errors import DatabaseError, LockHeld
from .folders import private

SUFFIX = ".lock"


class FileLock:
    """`flock` on `state_dir/locks/NAME.lock`, held for the process's life. The file stays: removing it would race."""

    def __init__(self, state_dir: str, name: str) -> None:
        self.path = os.path.join(state_dir, "locks", name + SUFFIX)
        self.name = f"file:{name}"
        self._file = -1

    def acquire(self, about: str) -> None:
        """Take the lock and write `about` (who, since when) into it; LockHeld tells what the holder wrote."""
        private(os.path.dirname(self.path))
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 300).decode("utf-8", "replace").strip()
            os.close(file)
            raise LockHeld(holder or "another run that is just starting") from None
        os.ftruncate(file, 0)
        os.write(file, about.encode() + b"\n")
        self._file = file

    def check(self) -> bool:
        """A held file lock cannot be lost."""
        return True

    def release(self) -> None:
        """Give it back; the end of the process does the same."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class DatabaseLock:
    """MySQL's GET_LOCK on a connection of its own: it ends with that connection, on any host."""

    def __init__(self, connect, prefix: str, name: str, seconds: float) -> None:
        self.name, self._scoped = "db:", f"{prefix}/{name}"
        self._connect, self._seconds, self._db = connect, int(seconds), None

    def acquire(self, about: str) -> None:
        """Take the lock; LockHeld when another connection has it."""
        from hashlib import sha256

        db = self._connect()
        try:
            # Lock names are shared by a whole MySQL server and at most 64 characters long.
            scope = f"{db.value('SELECT DATABASE()')}/{self._scoped}"
            self.name = "db:" + sha256(scope.encode()).hexdigest()[:40]
            # The server ends the connection of a host that vanished, and with it the lock.
            db.execute("SET SESSION wait_timeout = :seconds", seconds=self._seconds)
            if db.value("SELECT GET_LOCK(:name, 0)", name=self.name) != 1:
                raise LockHeld("a run with the database lock")
        except BaseException:
            db.close()
            raise
        self._db = db

    def check(self) -> bool:
        """Whether the lock is still ours: one round trip, which also keeps its connection alive."""
        try:
            return self._db is not None and self._db.value(
                "SELECT IS_USED_LOCK(:name) = CONNECTION_ID()", name=self.name) == 1
        except DatabaseError:
            return False

    def release(self) -> None:
        """Give it back by ending its connection."""
        if self._db is not None:
            self._db.close()
            self._db = None


class BothLocks:
    """The lock file first, which costs nothing, then the database's."""

    def __init__(self, file: FileLock, database: DatabaseLock) -> None:
        self._locks = (file, database)

    @property
    def name(self) -> str:
        """The database's, which is the wider one."""
        return self._locks[1].name

    def acquire(self, about: str) -> None:
        """Take both or neither."""
        file, database = self._locks
        file.acquire(about)
        try:
            database.acquire(about)
        except BaseException:
            file.release()
            raise

    def check(self) -> bool:
        """Whether both are still ours."""
        return all(lock.check() for lock in self._locks)

    def release(self) -> None:
        """Give both back."""
        for lock in reversed(self._locks):
            lock.release()


def lock_for(name: str, core, connect, seconds: float):
    """The lock that `[core] lock` asks for. `connect` makes the lock's own database connection."""
    file = FileLock(core.state_dir, name)
    if core.lock == "file":
        return file
    database = DatabaseLock(connect, core.prefix, name, seconds)
    return database if core.lock == "database" else BothLocks(file, database)


def is_free(lock) -> bool:
    """Whether nobody holds it at this moment, tried by taking it. Nothing is written into its file."""
    if isinstance(lock, FileLock):
        try:
            file = os.open(lock.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        finally:
            os.close(file)
    try:
        lock.acquire("a look")
    except LockHeld:
        return False
    lock.release()
    return True
