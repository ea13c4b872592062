"""What keeps two runs of one job apart: a lock file, or a lock in the database.

Either belongs to something that the system ends with the process (an open file, a connection), so a
killed run leaves nothing behind that needs a hand. The `name` of a lock is in the row of its run:
where it is free, a row that says `running` belongs to a dead process (runner/history.py).
"""
from __future__ import annotations

import fcntl
import os
import time

from jobs_lib.errors import ConfigError, DatabaseError, LockHeld, Missing, NoAccess
from jobs_lib.folders import open_own, private

FILE, DATABASE = "file:", "db:"
# a tick may have the lock for an instant, to see whether it is free
LOOK_SECONDS = 0.02


class NoLocks(NoAccess):
    """The file system of the state folder has no locks."""


class FileLock:
    """`flock` on `state_dir/locks/NAME.lock`. The file stays: removing it would race."""

    def __init__(self, state_dir: str, name: str) -> None:
        self.path = os.path.join(state_dir, "locks", name + ".lock")
        self.name = FILE + name
        self._file = -1

    def acquire(self) -> None:
        """Take it; LockHeld where another run has it, or has just removed the file."""
        private(os.path.dirname(self.path))
        self._file = open_own(self.path, os.O_RDWR | os.O_CREAT)
        if not (self._lock() or self._lock(after=LOOK_SECONDS)) or not self.check():
            self.release()
            raise LockHeld(self.name)

    def is_free(self) -> bool:
        """Whether nobody holds it at this moment. Nothing is written."""
        try:
            # NFS gives an exclusive lock to nobody who only reads
            self._file = open_own(self.path, os.O_RDWR)
        except FileNotFoundError:
            return True
        free = self._lock()
        self.release()
        return free

    def check(self) -> bool:
        """Whether the lock is still ours: the file may be removed."""
        try:
            mine, there = os.fstat(self._file), os.stat(self.path)
        except OSError:
            return False
        return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)

    def release(self) -> None:
        """Give it back; the end of the process does the same."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _lock(self, after: float = 0) -> bool:
        if after:
            time.sleep(after)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            self.release()
            raise NoLocks(f"{self.path} cannot be locked ({error.strerror}): move [core] state_dir "
                          "to another file system, or set [core] lock = database") from None
        return True


class DatabaseLock:
    """MySQL's GET_LOCK on a connection of its own: it ends with that connection, on any host, and
    at the latest after so many seconds, where the host went away."""

    def __init__(self, connect, job: str, seconds: float) -> None:
        self.name, self._job = DATABASE, job
        self._connect, self._seconds, self._db = connect, int(seconds), None

    def acquire(self) -> None:
        """Take it; LockHeld where another connection has it."""
        db = self._connect()
        try:
            if not db.dialect.named_locks:
                raise ConfigError("[core] lock: this database has no locks of that kind: expected "
                                  "lock = file, or a mysql:// database")
            self.name = database_name(db, self._job)
            db.execute("SET SESSION wait_timeout = :seconds", seconds=self._seconds)
            got = db.row("SELECT GET_LOCK(:name, 0) AS lock_, @@SESSION.wait_timeout AS patience",
                         name=self.name)
            if got["lock_"] != 1:
                raise LockHeld(self.name)
            if got["patience"] != self._seconds:
                # lost between the two, and connected again without it
                raise DatabaseError("the connection of the database lock was lost as it was taken")
        except BaseException:
            db.close()
            raise
        self._db = db

    def check(self) -> bool:
        """Whether the lock is still ours; this also keeps its connection alive."""
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


def database_name(db, job: str) -> str:
    """The name of a job's lock, of at most 64 characters. Anyone who may sign in there could take
    one that can be guessed, so it has the database's id in it."""
    from hashlib import sha256
    try:
        own = db.value("SELECT value FROM {meta} WHERE name = 'database_id'")
    except Missing:  # the run will say so
        own = ""
    return DATABASE + sha256(f"{own}/{job}".encode()).hexdigest()[:40]


def lock_for(name: str, core, connect, seconds: float) -> FileLock | DatabaseLock:
    """The lock of this job, by `[core] lock`."""
    if core.lock == "file":
        return FileLock(core.state_dir, name)
    return DatabaseLock(connect, name, seconds)
