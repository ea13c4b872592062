"""What keeps two runs of one job apart: a lock file, or a lock in the database.

Either belongs to something that the system ends with the process (an open file, a connection), so a
killed run leaves nothing behind that needs a hand. A time-to-live is never used: it ends too early
or too late.

A lock has a `name`, which goes into the row of its run: for who holds the lock, a row that says
`running` under it belongs to a dead process (runner/history.py).
"""
from __future__ import annotations

import errno
import fcntl
import os
import time

from jobs_lib.errors import ConfigError, DatabaseError, JobsError, LockHeld, NoAccess
from jobs_lib.folders import open_own, private

FILE, DATABASE = "file:", "db:"
CONNECTION = "connection "
# a tick may have the lock for an instant, to see whether it is free
LOOK_SECONDS = 0.02
STARTING = "another run that is just starting"
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


class Holder:
    """A connection that has a lock: its number, and `user NAME` or `another user`."""

    def __init__(self, number: int, user: str) -> None:
        self.number, self.user = number, user


class NoLocks(JobsError):
    """The file system of the state folder has no locks."""


class FileLock:
    """`flock` on `state_dir/locks/NAME.lock`, held for the process's life. The file stays: removing
    it would race."""

    def __init__(self, state_dir: str, name: str) -> None:
        self.path = os.path.join(state_dir, "locks", name + ".lock")
        self.name = FILE + name
        self._file = -1

    def acquire(self, about: str) -> None:
        """Take the lock and write `about` (who, since when) into it; LockHeld tells what the holder
        wrote."""
        try:
            private(os.path.dirname(self.path))
        except OSError as error:
            raise NoAccess(_unusable(os.path.dirname(self.path), error)) from None
        for _ in range(3):
            self._file = self._open(os.O_RDWR | os.O_CREAT)
            if not (self._lock() or self._lock(after=LOOK_SECONDS)):
                holder = os.read(self._file, 300).decode("utf-8", "replace").strip()
                self._close()
                raise LockHeld(holder or STARTING)
            if self.check():                    # else the file was removed between open and flock
                self._note(about)
                return
            self._close()
        raise JobsError(f"the lock file {self.path} vanishes again and again: something removes it")

    def _note(self, about: str) -> None:
        """Say who holds it. The lock is held without this note, too: a full disk stops no run,
        least of all a purge."""
        try:
            os.ftruncate(self._file, 0)
            os.write(self._file, about.encode() + b"\n")
        except OSError:
            pass

    def is_free(self) -> bool:
        """Whether nobody holds it at this moment. Nothing is written."""
        try:
            # NFS gives an exclusive lock to nobody who only reads
            self._file = self._open(os.O_RDWR)
        except FileNotFoundError:
            return True
        free = self._lock()
        self._close()
        return free

    def check(self) -> bool:
        """Whether the lock is still ours. Only who removes the file can take it: then a second run
        may start."""
        try:
            mine, there = os.fstat(self._file), os.stat(self.path)
        except OSError:
            return False
        return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)

    def release(self) -> None:
        """Give it back; the end of the process does the same."""
        if self._file >= 0:
            try:                                # noqa: SIM105  contextlib is not loaded otherwise
                os.ftruncate(self._file, 0)
            except OSError:
                pass                            # its text is read only while it is held
            self._close()

    def _open(self, flags: int) -> int:
        try:
            return open_own(self.path, flags)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise NoAccess(_unusable(self.path, error)) from None

    def _lock(self, after: float = 0) -> bool:
        if after:
            time.sleep(after)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            self._close()
            if error.errno not in NO_LOCKS:
                raise
            raise NoLocks(f"the file system of {self.path} has no locks: move [core] state_dir to "
                          "another, or set [core] lock = database") from None
        return True

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1


def _unusable(path: str, error: OSError) -> str:
    """Why a lock file cannot be used, with the real cause: only what belongs to another user is
    blamed on one."""
    from jobs_lib.folders import owner_words
    if isinstance(error, PermissionError):
        return f"the lock file {path} cannot be used: {owner_words(path)}"
    return f"the lock file {path} cannot be used: {error.strerror or error}"


class DatabaseLock:
    """MySQL's GET_LOCK on a connection of its own: it ends with that connection, on any host.

    `seconds` is the longest that a run may hold it: the server ends the connection of a host that
    went away. `name` is known once it is connected.
    """

    def __init__(self, connect, prefix: str, name: str, seconds: float) -> None:
        self.name, self._scoped = DATABASE, f"{prefix}/{name}"
        self._connect, self._seconds, self._db = connect, int(seconds), None

    def acquire(self, about: str) -> None:
        """Take the lock; LockHeld when another connection has it: its run's row says who it is."""
        db = self._connected()
        try:
            db.execute("SET SESSION wait_timeout = :seconds", seconds=self._seconds)
            got = db.row("SELECT GET_LOCK(:name, 0) AS lock_, @@SESSION.wait_timeout AS patience",
                         name=self.name)
            if got["lock_"] != 1:
                raise LockHeld(self._holder(db))
            if got["patience"] != self._seconds:
                # lost between the two, and connected again without it
                raise DatabaseError("the connection of the database lock was lost as it was taken")
        except BaseException:
            db.close()
            raise
        self._db = db

    def _holder(self, db) -> str:
        """`connection 17 of user jobs`. Whose it is, an account without PROCESS sees of its own
        connections alone."""
        holder = database_holder(db, self.name)
        return f"{CONNECTION}{holder.number} of {holder.user}" if holder else STARTING

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

    def _connected(self):
        db = self._connect()
        if not db.dialect.named_locks:
            db.close()
            raise ConfigError("[core] lock: this database has no locks of that kind: expected lock "
                              "= file, or a mysql:// database")
        self.name = database_name(db, self._scoped)
        return db


def database_name(db, scoped: str) -> str:
    """The name of a lock in the database. `scoped`: PREFIX/NAME.

    Lock names are shared by a whole MySQL server and at most 64 characters long. Anybody who may
    sign in there could take one that can be guessed, so what only the users of this database can
    read is in it.
    """
    from hashlib import sha256

    scope = f"{db.value('SELECT DATABASE()')}/{scoped}/{_database_id(db)}"
    return DATABASE + sha256(scope.encode()).hexdigest()[:40]


def database_holders(db, core, names):
    """(name, Holder) of each of these jobs whose lock in the database a connection has."""
    for name in names if db.dialect.named_locks else ():
        if holder := database_holder(db, database_name(db, f"{core.prefix}/{name}")):
            yield name, holder


def database_holder(db, name: str) -> Holder | None:
    """The connection that has this lock, if one has it."""
    number = db.value("SELECT IS_USED_LOCK(:name)", name=name)
    if number is None:
        return None
    user = db.value("SELECT user FROM information_schema.processlist WHERE id = :number",
                    number=number)
    return Holder(number, f"user {user}" if user else "another user")


def _database_id(db) -> str:
    from jobs_lib.errors import Missing
    try:
        return db.value("SELECT value FROM {meta} WHERE name = 'database_id'") or ""
    except Missing:                             # the run will say so
        return ""


def lock_for(name: str, core, connect, seconds: float = 0) -> FileLock | DatabaseLock:
    """The lock of this job, by `[core] lock`. `connect` makes the connection of one in the
    database."""
    if core.lock == "file":
        return FileLock(core.state_dir, name)
    return DatabaseLock(connect, core.prefix, name, seconds)
