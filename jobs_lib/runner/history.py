"""The table `job_runs`: what ran, when, how it ended; and which runs died without a report.

The row of such a run says `running` for ever. The next run of its job marks it `vanished`, and a
tick carries its slot on; commands that only look call it `vanished?` until then.
"""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib import folders
from jobs_lib.database import stored
from jobs_lib.errors import Busy, Duplicate, JobsError, Lost
from jobs_lib.records import dumps
from jobs_lib.text import counts_words

from . import locks

VANISHED = "vanished?"
STARTING = "another run that is just starting"
# after its hard limit, a run that cannot be asked counts as dead
SILENCE = timedelta(minutes=10)
LONGEST = timedelta(days=30)  # no lease reaches so far: a wrong clock wrote it
ERROR_LENGTH = 2000
# of an outcome: what a row has from its beginning, and what it gets at its end
BEGUN = ("run_id", "job", "slot", "status", "started_at", "stop_reason")
ENDED = ("run_id", "status", "finished_at", "duration_ms", "stop_reason")


# A run writes its own row

def begin(db, run: dict, **more) -> bool:
    """Write the run's row, with `more` of its columns. False when its slot was started before, by
    any host: `UNIQUE(job, slot)` decides."""
    try:
        db.insert("job_runs", **{name: run[name] for name in BEGUN}, host=host(),
                  pid=os.getpid(), **more)
    except Duplicate:
        return False
    return True


def record_heartbeat(db, run_id: str, now, progress: dict) -> None:
    """Store that the run lives, and how far it is."""
    try:
        db.execute("UPDATE {job_runs} SET heartbeat_at = :now, progress = :progress "
                   "WHERE run_id = :run_id", now=now, progress=dumps(progress), run_id=run_id)
    except (Busy, Lost):
        if db.current:  # that transaction is lost
            raise


def finish(db, run: dict) -> None:
    """Store how the run ended, also of one that was taken for dead."""
    values = {**{name: run[name] for name in ENDED}, "counts": dumps(run["counts"]),
              "error": run["error"] and run["error"][:ERROR_LENGTH]}
    for is_last in (False, True):
        try:
            db.execute("UPDATE {job_runs} SET status = :status, finished_at = :finished_at, "
                       "duration_ms = :duration_ms, counts = :counts, stop_reason = :stop_reason, "
                       "error = :error WHERE run_id = :run_id", **values)
            return
        except (Busy, Lost):
            if is_last:  # else once more: without it the run would count as dead
                raise


def host() -> str:
    """This machine's name, as far as it fits."""
    return os.uname().nodename.encode("ascii", "replace").decode()[:100]


# Who is dead

def is_dead(db, row: dict, core, now, held: str = "") -> bool:
    """Whether the process behind a `running` row has ended. `held`: the name of the lock that the
    caller holds.

    The system ends a lock with its process, so a lock that is free tells. That of another host
    with lock files of its own cannot be asked: such a run counts as dead long after its end.
    """
    name = str(row["lock_name"])
    try:
        is_ours = row["installation"] == folders.installation(core.state_dir)
        if name == held and (is_ours or name.startswith(locks.DATABASE)):
            return True
        if name.startswith(locks.DATABASE) and db.dialect.named_locks:
            return db.value("SELECT IS_FREE_LOCK(:name)", name=name) == 1
        if name.startswith(locks.FILE) and is_ours:
            return locks.FileLock(core.state_dir, name[len(locks.FILE):]).is_free()
    except (JobsError, OSError):
        return False  # the next run of that job says what is wrong
    until = stored.time(row["lease_until"])
    return until is None or not now - SILENCE <= until <= now + LONGEST


def sweep(db, job: str, core, now, held: str) -> list[dict]:
    """Mark this job's dead runs `vanished` and return them. The caller holds the job's lock."""
    rows = db.query("SELECT id, run_id, progress, installation, lock_name, started_at, "
                    "lease_until, pid, host FROM {job_runs} WHERE status = 'running' "
                    "AND job = :job", job=job)
    dead = [row for row in rows if is_dead(db, row, core, now, held)]
    for row in dead:
        words = counts_words(stored.counts(row["progress"]))
        progress = f"last progress: {words}" if words else "no progress reported"
        db.execute("UPDATE {job_runs} SET status = 'vanished', finished_at = :now, error = :error"
                   " WHERE id = :id AND status = 'running'", now=now, id=row["id"],
                   error=f"the process {row['pid']} on {row['host']} ended without a report "
                   f"({progress})")
    return dead


def shown(rows: list[dict], config, now, db) -> list[dict]:
    """The same rows of `job_runs`, those of dead processes with another status."""
    core = config.section("core")
    return [{**row, "status": VANISHED} if row["status"] == "running"
            and is_dead(db, row, core, now) else row for row in rows]


# What has been

def holder(db, job: str) -> str:
    """Who has the job's lock: its row says it, unless the run is about to write it."""
    row = db.row("SELECT host, pid, started_at FROM {job_runs} WHERE job = :job "
                 "AND status = 'running' ORDER BY id DESC LIMIT 1", job=job)
    return (f"process {row['pid']} on {row['host']} since {row['started_at']} UTC" if row
            else STARTING)


def last_run(db, job: str) -> dict:
    """How the job's last run ended that was not skipped; {} if none was."""
    return db.row("SELECT status, stop_reason, started_at FROM {job_runs} WHERE job = :job "
                  "AND status <> 'skipped' ORDER BY id DESC LIMIT 1", job=job) or {}


def usual_seconds(db, job: str) -> float | None:
    """The median duration of the job's last 10 `ok` runs, or None."""
    rows = db.query("SELECT duration_ms FROM {job_runs} WHERE job = :job AND status = 'ok'"
                    " ORDER BY id DESC LIMIT 10", job=job)
    durations = sorted(stored.number(row["duration_ms"]) for row in rows)
    return durations[len(durations) // 2] / 1000 if durations else None
