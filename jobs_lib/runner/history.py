"""The table `job_runs`: what ran, when, how it ended; and which runs died without a word.

The row of such a run says `running` for ever. The next run of its job marks it `vanished`, and a
tick carries its slot on; commands that only look call it `vanished?` until then.
"""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.errors import Busy, DatabaseError, Duplicate, JobsError, Lost
from jobs_lib.records import dumps
from jobs_lib.text import counts_words

from . import locks
from .outcome import UNKNOWN_HOLDER

VANISHED = "vanished?"
# after its hard limit, a run that cannot be asked counts as dead
SILENCE = timedelta(minutes=10)
LONGEST = timedelta(days=30)  # no lease reaches so far: a clock that was wrong wrote it
ERROR_LENGTH = 2000
# a run that is done must not end as `vanished` because of a passing error
FINISH_TRIES, FINISH_PAUSE = 4, 1.0
# of an outcome: what a row has from its beginning, and what it gets at its end
BEGUN = ("run_id", "job", "slot", "status", "started_at", "stop_reason")
ENDED = ("run_id", "status", "finished_at", "duration_ms", "stop_reason")
COLUMNS = ("run_id, job, slot, trigger_type, installation, lock_name, lease_until, host, pid, "
           "status, started_at, finished_at, duration_ms, counts, progress, stop_reason, error")


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
    """Store that the run lives, and how far it is: what is reported of it if it dies."""
    try:
        db.execute("UPDATE {job_runs} SET heartbeat_at = :now, progress = :progress "
                   "WHERE run_id = :run_id", now=now, progress=dumps(progress), run_id=run_id)
    except (Busy, Lost):
        if db.current:  # that transaction is lost
            raise


def finish(db, run: dict, sleep, left) -> None:
    """Store how the run ended. A run that was taken for dead meanwhile is put right. `left()`:
    seconds for it."""
    for attempt in range(1, FINISH_TRIES + 1):
        try:
            db.execute(
                "UPDATE {job_runs} SET status = :status, finished_at = :finished_at, "
                "duration_ms = :duration_ms, counts = :counts, stop_reason = :stop_reason, "
                "error = :error WHERE run_id = :run_id",
                **{**{name: run[name] for name in ENDED}, "counts": dumps(run["counts"]),
                   "error": run["error"] and run["error"][:ERROR_LENGTH]})
            return
        except DatabaseError:
            if attempt == FINISH_TRIES or left() <= FINISH_PAUSE:
                raise
            sleep(FINISH_PAUSE)


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
    is_ours = row["installation"] == _installation(core)
    if name == held and (is_ours or name.startswith(locks.DATABASE)):
        return True
    try:
        if name.startswith(locks.DATABASE) and db.dialect.named_locks:
            return not locks.database_holder(db, name)
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
                   error=f"the process {row['pid']} on {row['host']} ended without a word "
                   f"({progress})")
    return dead


def shown(rows: list[dict], config, now, db) -> list[dict]:
    """The same rows of `job_runs`, those of dead processes with another status."""
    core = config.section("core")
    return [{**row, "status": VANISHED} if row["status"] == "running"
            and is_dead(db, row, core, now) and _says_running(db, row) else row for row in rows]


def _says_running(db, row: dict) -> bool:
    """Whether the row still does: with its lock free it may have ended well since it was read."""
    return db.value("SELECT status FROM {job_runs} WHERE run_id = :run_id",
                    run_id=row["run_id"]) == "running"


def _installation(core) -> str:
    """The id of this installation, without making one."""
    try:
        with open(os.path.join(core.state_dir, "installation"), encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""


# What has been

def last_runs(db, session, job: str | None = None, limit: int = 20) -> list[dict]:
    """The latest runs, newest first, with `counts` and `progress` decoded."""
    rows = db.query(f"SELECT {COLUMNS} FROM {{job_runs}}"
                    + (" WHERE job = :job" if job else "") + " ORDER BY id DESC LIMIT :limit",
                    **({"job": job} if job else {}), limit=limit)
    return shown([stored.run(row) for row in rows], session.config, session.ports.now(), db)


def holder(db, job: str, connection: str, now) -> str:
    """Who has the job's lock in the database, with this connection: a run of ours, by its row, one
    that is about to write it or has just ended, or nobody of ours."""
    row = db.row("SELECT host, pid, started_at, lease_until FROM {job_runs} WHERE job = :job "
                 "AND status = 'running' ORDER BY id DESC LIMIT 1", job=job)
    until = stored.time(row["lease_until"]) if row else None
    if until and until > now:
        return f"process {row['pid']} on {row['host']} since {row['started_at']} UTC"
    is_unknown = connection.endswith(locks.STRANGER)
    return connection + UNKNOWN_HOLDER if is_unknown else locks.STARTING


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
