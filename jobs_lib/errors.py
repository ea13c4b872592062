"""One error root, few kinds, each with the exit code that `jobs.py` ends with.

A message says what, where and what to do, in one sentence a person can act on.
"""
from __future__ import annotations

OK, FAILED, USAGE, LOCK_HELD, CONFIG, HARD_LIMIT, TERMINATED = 0, 1, 2, 75, 78, 124, 143


class JobsError(Exception):
    """The root: something a person has to know, with the exit code it leads to."""

    exit_code = FAILED


class UsageError(JobsError):
    """Wrong words on the command line."""

    exit_code = USAGE


class ConfigError(JobsError):
    """One or more wrong settings; `problems` holds a sentence for each."""

    exit_code = CONFIG

    def __init__(self, *problems: str) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(problems))


class DatabaseError(JobsError):
    """The database refused, or could not be reached."""


class NotInstalled(DatabaseError):
    """The package that speaks to the database is missing."""


class Unfit(DatabaseError):
    """The database has another schema than this bundle needs; `command` is what to run."""

    def __init__(self, words: str, command: str = "migrate") -> None:
        super().__init__(words)
        self.command = command


class Busy(DatabaseError):
    """Another writer held the database for longer than we wait."""


class Lost(DatabaseError):
    """The connection was lost, with its open transaction."""


class Broken(DatabaseError):
    """It is missing, damaged, or has no room; after its last `: ` the text says what to do."""


class Conflict(Busy):
    """A deadlock, a lock wait or a time limit: done again, it may pass."""


class Missing(DatabaseError):
    """There is no such file, table or column."""


class NotTaken(DatabaseError):
    """A column does not take what is written into it."""


class Duplicate(DatabaseError):
    """A row with this unique key is there already."""


class ReadOnly(DatabaseError):
    """A write was tried in a dry run and refused by the database or the port itself."""


class NoAccess(JobsError):
    """A folder or a lock file of the jobs cannot be made or opened."""


class LockHeld(JobsError):
    """Another run holds the lock."""


class Stopped(BaseException):
    """Raised by the hard limit in whatever hangs; no Exception, so that no job swallows it."""


def not_whole(error: BaseException) -> str:
    """What to say of a file that an upload has cut off or left out, or Python lacks; "" of any
    other error."""
    where = str(error)
    if isinstance(error, SyntaxError):
        where = f"{error.filename} line {error.lineno}: {error.msg}"
    elif not isinstance(error, ImportError) and not where.startswith("module 'jobs_lib."):
        return ""
    elif (getattr(error, "name", "") or "").startswith("_"):      # such as _sqlite3, _ssl
        return f"this Python lacks a module of its own ({where}): use another"
    return f"a file of the program is missing or incomplete ({where}): upload it again"
