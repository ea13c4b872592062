"""The table `job_runs`: what ran, when, how it ended."""
from __future__ import annotations

import os
from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.errors import Busy, DatabaseError, Duplicate, Lost
from jobs_lib.plain_json import dumps

# a run that has stored its outcome may have its lock a little longer
JUST_ENDED = timedelta(minutes=1)
ERROR_LENGTH = 2000
# a run that is done must not end as `vanished` because of a passing error
FINISH_TRIES, FINISH_PAUSE = 4, 1.0


def begin(db, run: dict, *, installation: str, lock_name: str, trigger: str, lease_until) -> bool:
    """Write the run's row. False when its slot was started before, by any host: `UNIQUE(job, slot)`
    decides."""
    now = run["started_at"]
    try:
        db.insert("job_runs", run_id=run["run_id"], job=run["job"], slot=run["slot"],
                  trigger_type=trigger, installation=installation, lock_name=lock_name,
                  heartbeat_at=now, host=host(),
                  pid=os.getpid(), status="running", started_at=now, lease_until=lease_until)
    except Duplicate:
        return False
    return True


def skipped(db, run: dict, *, installation: str, trigger: str) -> None:
    """Record a run that found the lock held. It has no slot, so its slot stays due."""
    db.insert("job_runs", run_id=run["run_id"], job=run["job"], trigger_type=trigger,
              installation=installation, host=host(), pid=os.getpid(), status="skipped",
              started_at=run["started_at"], finished_at=run["finished_at"],
              duration_ms=run["duration_ms"], stop_reason=run["stop_reason"])


def finish(db, run: dict, sleep, left) -> None:
    """Store how the run ended. A run that was taken for dead meanwhile is put right. `left()`:
    seconds for it."""
    for attempt in range(1, FINISH_TRIES + 1):
        try:
            db.execute(
                "UPDATE {job_runs} SET status = :status, finished_at = :finished_at, "
                "duration_ms = :duration_ms, counts = :counts, stop_reason = :stop_reason, "
                "error = :error WHERE run_id = :run_id", status=run["status"],
                finished_at=run["finished_at"], duration_ms=run["duration_ms"],
                counts=dumps(run["counts"]), stop_reason=run["stop_reason"],
                error=run["error"] and run["error"][:ERROR_LENGTH], run_id=run["run_id"])
            return
        except DatabaseError:
            if attempt == FINISH_TRIES or left() <= FINISH_PAUSE:
                raise
            sleep(FINISH_PAUSE)


def record_heartbeat(db, run_id: str, now, progress: dict | None) -> None:
    """Store that the run lives, and how far it is: what a sweep reports of it if it dies."""
    try:
        db.execute("UPDATE {job_runs} SET heartbeat_at = :now, progress = :progress "
                   "WHERE run_id = :run_id",
                   now=now, progress=progress and dumps(progress), run_id=run_id)
    except (Busy, Lost):
        if db.current:                  # that transaction is lost
            raise


def holder(db, job: str, now) -> dict | None:
    """The row of the run of ours that may have the job's lock in the database: it is at work, or
    has just stored its outcome."""
    row = db.row("SELECT host, pid, started_at, status, finished_at, lease_until FROM {job_runs} "
                 "WHERE job = :job"
                 " AND status <> 'skipped' ORDER BY id DESC LIMIT 1", job=job)
    if row is None:
        return None
    ended = stored.time(row["lease_until" if row["status"] == "running" else "finished_at"])
    return row if ended and ended > now - JUST_ENDED else None


def host() -> str:
    """This machine's name, as far as it fits."""
    return os.uname().nodename.encode("ascii", "replace").decode()[:100]


COLUMNS = ("run_id, job, slot, trigger_type, installation, lock_name, lease_until, host, pid, "
           "status, started_at, finished_at, duration_ms, counts, progress, stop_reason, error")


def last_runs(db, job: str | None = None, limit: int = 20) -> list[dict]:
    """The latest runs, newest first, with `counts` and `progress` decoded."""
    rows = db.query(f"SELECT {COLUMNS} FROM {{job_runs}}"
                    + (" WHERE job = :job" if job else "") + " ORDER BY id DESC LIMIT :limit",
                    **({"job": job} if job else {}), limit=limit)
    return [stored.run(row) for row in rows]


def usual_seconds(db, job: str) -> float | None:
    """The median duration of the job's last 10 `ok` runs, or None."""
    rows = db.query("SELECT duration_ms FROM {job_runs} WHERE job = :job AND status = 'ok'"
                    " ORDER BY id DESC LIMIT 10", job=job)
    durations = sorted(stored.number(row["duration_ms"]) for row in rows)
    return durations[len(durations) // 2] / 1000 if durations else None
