"""Who holds a lock that keeps jobs from running, when no run of ours does: a process of this host,
or a connection."""
from __future__ import annotations

import os

from jobs_lib.errors import JobsError
from jobs_lib.folders import user_name
from jobs_lib.records import namedtuple
from jobs_lib.runner import dead_runs, history, locks

LOCKS = "/proc/locks"
TICK = "run-due"

Held = namedtuple("Held", "job who look end")
Held.__doc__ = """A lock that no run of ours has.

job   whose it is; TICK for that of `run-due`       who   in words
look  a command or statement that shows more        end   one that ends the holder
"""


def held(installation) -> list[Held]:
    """Each lock that is held at this moment, though no run of ours lives that could have it."""
    living = {row["job"] for row in installation.database().query(
        "SELECT job, host, pid, lease_until FROM {job_runs} WHERE status = 'running'")
              if _lives(row, installation.now)}
    return [*_files(installation, living), *_in_database(installation, living)]


def _lives(row: dict, now) -> bool:
    """Whether this run may still have its lock; of another host only the end of its lease is
    known."""
    return not history.is_over(row, now) and (row["host"] != history.host()
                                              or dead_runs.is_there(row["pid"]))


def _names(installation, living: set) -> list[str]:
    """The locks of all jobs that no run of ours has."""
    return [job.name for job in installation.jobs if job.name not in living]


def _files(installation, living: set):
    core = installation.section("core")
    names = _names(installation, living) if core.lock == "file" else []
    for name in (TICK, *names):
        lock = locks.FileLock(core.state_dir, name)
        try:
            if lock.is_free():
                continue
        except (JobsError, OSError):        # another user's, no folder: files.py reports it
            continue
        pid = holder_of(lock.path)
        if pid and is_ours(pid, installation.script):
            continue
        yield Held(name, *(process(pid) if pid else ("another process", f"fuser -v {lock.path}",
                                                     "")))


def _in_database(installation, living: set):
    core, db = installation.section("core"), installation.database()
    if core.lock == "file":
        return
    for name, holder in locks.database_holders(db, core, _names(installation, living)):
        yield Held(name, f"connection {holder.number} of {holder.user}",
                   f"SELECT * FROM information_schema.processlist WHERE id = {holder.number};",
                   f"KILL {holder.number};")


# Processes of this host, as Linux lists them

def holder_of(path: str) -> int:
    """The process that has a lock on this file, or 0 where that is not known."""
    try:
        status = os.stat(path)
        with open(LOCKS, encoding="ascii", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return 0
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    found = sorted((words[3] != "WRITE", int(words[4])) for words in lines
                   if "->" not in words and len(words) > 5 and words[5] == wanted
                   and words[4].isdecimal())
    return found[0][1] if found else 0


def process(pid: int) -> tuple[str, str, str]:
    """(who it is in words, a command that shows it, one that ends it)."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            name = f" ({file.read().strip()})"
        name += f" of user {user_name(os.stat(f'/proc/{pid}').st_uid)}"
    except OSError:
        name = ""
    return f"process {pid}{name}", f"ps -fp {pid}", f"kill {pid}"


def is_ours(pid: int, script: str) -> bool:
    """Whether it runs this jobs.py: one that is just starting, or a `run-due` between two jobs."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = os.fsdecode(file.read()).split("\0")
        return any(os.path.realpath(os.path.join(f"/proc/{pid}/cwd", word))
                   == os.path.realpath(script) for word in words[:4] if os.path.basename(word)
                   == os.path.basename(script))
    except OSError:
        return False
