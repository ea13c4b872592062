"""Which jobs are due: their latest slot has no run yet, or has one that is to be carried on.

Work is chosen by "due and not done", never by "now is the minute", so a cron that stalls, skips or ticks
rarely changes nothing but the hour. A tick that finds nothing to do ends here: keep its imports few.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

from . import clock, schedule
from .errors import ConfigError
from .job import PRIORITIES

Due = namedtuple("Due", "job slot trigger late")
Due.__doc__ = "A due job: its slot, `scheduled` or `continue` (then without a slot of its own), how late it is."

UNFINISHED = ("partial", "timeout", "interrupted", "vanished")     # a slot that ended so is carried on
RETRIES = (timedelta(minutes=15), timedelta(hours=1))       # of a slot that failed
DAY = timedelta(days=1)


def latest_slot(config, job, now):
    """The latest slot of the job's schedule at `now`, as aware UTC."""
    zone = schedule.zone(config.section("core").timezone)
    return schedule.previous(config.job(job).schedule, now, zone)


def find(config, jobs, db, now, lock_is_free) -> tuple[list[Due], list[str]]:
    """(the due jobs in the order to start them, what is wrong in the sections of others).

    `lock_is_free(job)` tells whether a `running` run is dead.
    """
    state = {row["job"]: row for row in db.query("SELECT job, paused_at, due_after FROM {job_state}")}
    found, problems = [], []
    for job in jobs:
        kept = state.get(job.name)
        if kept is None:
            first_seen(db, job.name, now)
        elif not kept["paused_at"]:
            try:
                due = config.job(job).enabled and judge(config, job, db, now, kept["due_after"], lock_is_free)
            except ConfigError as error:            # one job's mistake stops no other
                problems += error.problems
                continue
            if due:
                found.append((_order(db, due), due))
    return [due for _, due in sorted(found, key=lambda pair: pair[0])], problems


def judge(config, job, db, now, due_after, lock_is_free) -> Due | None:
    """Whether the job's latest slot is due, is to be carried on, or is done (None)."""
    slot = latest_slot(config, job, now)
    if due_after and slot <= clock.parse(due_after):
        return None
    row = db.row("SELECT id, status, finished_at FROM {job_runs} WHERE job = :job AND slot = :slot",
                 job=job.name, slot=slot)
    if row is None:
        return Due(job, slot, "scheduled", now - slot)
    later = db.query("SELECT id, status, finished_at FROM {job_runs} WHERE job = :job AND id > :id"
                     " AND trigger_type = 'continue' AND status <> 'skipped' ORDER BY id", job=job.name, id=row["id"])
    runs = [row, *later]
    last = runs[-1]
    if last["status"] in UNFINISHED or (last["status"] == "running" and lock_is_free(job)):
        return Due(job, slot, "continue", now - slot)
    if last["status"] == "failed":
        failures = sum(run["status"] == "failed" for run in runs)
        if failures <= len(RETRIES) and now >= clock.parse(last["finished_at"]) + RETRIES[failures - 1]:
            return Due(job, slot, "continue", now - slot)
    return None


def first_seen(db, job: str, now) -> None:
    """A job that came with a new version of the bundle: nothing older than this moment is due."""
    db.upsert("job_state", {"job": job}, {"due_after": now})


def _order(db, due: Due) -> tuple:
    """Over a day late first; who hung or died last time after the others; then priority, then lateness."""
    last = db.value("SELECT status FROM {job_runs} WHERE job = :job AND status <> 'skipped'"
                    " ORDER BY id DESC LIMIT 1", job=due.job.name)
    return (due.late <= DAY, last in ("timeout", "vanished", "running"), PRIORITIES.index(due.job.priority),
            -due.late, due.job.name)
