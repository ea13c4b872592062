"""Runs that died without a word: their rows say `running` for ever.

The next run of a job marks them `vanished`, and a tick carries their slots on. Commands that only
look call such a run `vanished?` until then.
"""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.errors import ConfigError, JobsError

from . import locks
from .outcome import counts_words

VANISHED = "vanished?"
# after its hard limit, a run that cannot be asked counts as dead
SILENCE = timedelta(minutes=10)
LONGEST = timedelta(days=30)            # no lease reaches so far: a clock that was wrong wrote it


def is_dead(db, row: dict, core, now, held: str = "") -> bool:
    """Whether the process behind a `running` row has ended. `held`: the name of the lock that the
    caller holds.

    The system ends a lock with its process, so a lock that is free tells. That of another host
    with lock files of its own cannot be asked: such a run counts as dead long after its end.
    """
    name = str(row["lock_name"])
    is_ours = row["installation"] == _installation(core)
    if name == held and (is_ours or name.startswith(locks.DATABASE)):
        return True
    try:
        if name.startswith(locks.DATABASE) and db.dialect.named_locks:
            return locks.database_holder(db, name) is None
        if name.startswith(locks.FILE) and is_ours:
            return locks.FileLock(core.state_dir, name[len(locks.FILE):]).is_free()
    except (JobsError, OSError):
        return False                    # the next run of that job says what is wrong
    until = stored.time(row["lease_until"])
    return until is None or not now - SILENCE <= until <= now + LONGEST


def sweep(db, job: str, core, now, held: str) -> list[dict]:
    """Mark this job's dead runs `vanished` and return them. The caller holds the job's lock."""
    rows = db.query("SELECT id, job, run_id, progress, installation, lock_name, started_at, "
                    "lease_until, pid, host FROM {job_runs} WHERE status = 'running'")
    dead = [row for row in rows if row["job"] == job and is_dead(db, row, core, now, held)]
    for row in dead:
        words = counts_words(stored.counts(row["progress"]))
        progress = f"last progress: {words}" if words else "no progress reported"
        db.execute("UPDATE {job_runs} SET status = 'vanished', finished_at = :now, error = :error"
                   " WHERE id = :id AND status = 'running'", now=now, id=row["id"],
                   error=f"the process {row['pid']} on {row['host']} ended without a word "
                   f"({progress})")
    return dead


def shown(rows: list[dict], config, now, db) -> list[dict]:
    """The same rows of `job_runs`, those of dead processes with another status."""
    try:
        core = config.section("core")
    except ConfigError:                 # it is reported elsewhere
        return rows
    return [_shown(row, core, now, db) if row["status"] == "running" else row for row in rows]


def _shown(row: dict, core, now, db) -> dict:
    if not is_dead(db, row, core, now):
        return row
    # Its lock is free by now: it may have ended well since its row was read.
    found = db.row(f"SELECT {', '.join(row)} FROM {{job_runs}} WHERE run_id = :run_id",
                   run_id=row["run_id"])
    row = stored.run(found) if found else row
    return {**row, "status": VANISHED} if row["status"] == "running" else row


def _installation(core) -> str:
    """The id of this installation, without making one."""
    try:
        with open(os.path.join(core.state_dir, "installation"), encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""
