"""Made-up runs behind the demo's service, the same each time, so that its status page
has something to show; `meta` has a note for the page that says so."""
from __future__ import annotations

import json
import random
from datetime import timedelta

HOST = "made-up"
# how far apart two runs of a job are at least, by their age: lately as cron comes, so that nothing
# looks late, then as a page needs it; the oldest are past their retention
STEPS = ((timedelta(hours=3), timedelta(minutes=5)), (timedelta(hours=26), timedelta(minutes=55)),
         (timedelta(days=91), timedelta(days=1)))
# what the runs of a day count, and how much at most
COUNTS = {"retry_forwards": ("sent", 60), "send_notifications": ("sent", 90),
          "retry_webhooks": ("delivered", 200), "check_domains": ("checked", 9)}
CALM, RARELY = timedelta(days=2), 0.02      # since the last failure; a run before that fails


def fill(db, jobs: list, now, previous) -> None:
    """The rows; the latest slot, `previous(job, moment)`, is left to be due."""
    chance = random.Random(5)
    runs = [run for job in jobs for run in _runs(job, now, previous, chance)]
    with db.transaction():
        db.insert("meta", name="note", value="A sample service: all before this day is made up")
        for run in sorted(runs, key=lambda run: run["started_at"]):
            db.insert("job_runs", **run)


def _runs(job, now, previous, chance):
    """The runs of a job, newest first."""
    slot = previous(job, now)
    name, most = COUNTS.get(job.name, ("deleted", 40))
    while step := next((step for age, step in STEPS if slot > now - age), None):
        slot = previous(job, slot - step)
        fails = slot < now - CALM and chance.random() < RARELY
        most_now = 0 if fails else round(most * (step / timedelta(days=1)))
        took = chance.randint(10, 120)
        started = slot + timedelta(seconds=chance.randint(1, 9))
        yield {"job": job.name, "run_id": f"sample{chance.getrandbits(40):010x}", "slot": slot,
               "trigger_type": "scheduled", "status": "failed" if fails else "ok", "host": HOST,
               "pid": 1, "started_at": started, "duration_ms": took,
               "finished_at": started + timedelta(milliseconds=took),
               "counts": json.dumps({name: chance.randint(0, most_now)}),
               "error": "the database is locked by another process" if fails else None}
