"""An installation that has been at work for a day, and what makes an ordinary tick due again.

What a host pays most often is `run-due` five minutes after the last one: the jobs that come so
often are due, each is recorded, and the last looks at what all others have recorded in a day.
"""
from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import timedelta

from tests.support.product import catalogue, clock, schedule

STEP = timedelta(minutes=5)                 # between two ticks of cron
DAY = timedelta(days=1)
TIMES = ("slot", "started_at", "finished_at", "heartbeat_at", "lease_until")


def make_history(service) -> list[str]:
    """Runs of a day of each job, each as the job itself has just recorded one that found nothing to
    do. The jobs that are due at each tick."""
    now, rows = clock.now(), []
    jobs = {job.name: schedule.parse(job.schedule) for job in catalogue.load_all()}
    for name in jobs:
        service.known(name, since=now - 2 * DAY)
    service.run("run-due")
    assert service.outcomes() == ["ok"] * len(jobs), service.runs()
    for row in service.runs():
        slot = clock.parse(row["slot"])
        while slot >= now - DAY or slot == clock.parse(row["slot"]):
            earlier = clock.parse(row["slot"]) - slot
            times = {name: clock.parse(row[name]) - earlier for name in TIMES if row[name]}
            rows.append({**row, **times, "id": None, "run_id": os.urandom(16).hex()})
            slot = schedule.previous(jobs[row["job"]], slot - STEP)
    service.db.execute("DELETE FROM {job_runs}")
    (service.folder / "state" / "witness").unlink()     # it names one of them
    with service.db.transaction():
        for row in sorted(rows, key=lambda row: row["slot"]):
            service.db.insert("job_runs", **row)
    return sorted(name for name, when in jobs.items()
                  if schedule.following(when, now) - now <= STEP
                  and schedule.previous(when, now - STEP) > now - 2 * STEP)


def make_due(path: str, jobs: list[str]) -> int:
    """Move all runs of these jobs back by the time between two ticks: their latest slots have no
    run. The id of the newest run. No connection may be open."""
    marks = ", ".join("?" * len(jobs))
    moved = ", ".join(f"{name} = datetime({name}, '-{STEP.seconds} seconds')" for name in TIMES)
    with closing(sqlite3.connect(path)) as db, db:
        for row in db.execute(f"SELECT id FROM job_runs WHERE job IN ({marks}) ORDER BY slot",
                              jobs).fetchall():
            db.execute(f"UPDATE job_runs SET {moved} WHERE id = ?", row)
        return db.execute("SELECT MAX(id) FROM job_runs").fetchone()[0]


def check(path: str, jobs: list[str], before: int) -> None:
    """AssertionError unless the tick after the run with the id `before` has run these jobs."""
    with closing(sqlite3.connect(path)) as db:
        done = db.execute("SELECT job, status FROM job_runs WHERE id > ?", (before,)).fetchall()
    assert {(job, "ok") for job in jobs} <= set(done), done
