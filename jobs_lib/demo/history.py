"""A month behind the demo's service: runs of every job and hourly samples, made up and each time
the same, so that its status page has something to show.

All went well lately; some runs of before failed or stopped early, as happens.
"""
from __future__ import annotations

import json
import random
from datetime import timedelta

from jobs_lib import catalogue, schedule

DAYS = 30
# as often as those jobs are made to run that run every few minutes: lately so that `doctor` sees
# how often cron comes, before as a page needs it, with no gap of an hour
LATELY, OFTEN, SELDOM = timedelta(hours=2, minutes=30), timedelta(minutes=5), timedelta(minutes=55)
CALM = timedelta(days=2)        # since the last failure
# what a run of them counts, and how much at most
COUNTS = {"retry_forwards": ("sent", 3), "send_notifications": ("sent", 4),
          "retry_webhooks": ("delivered", 6), "check_domains": ("checked", 2),
          "rollup_usage": ("days", 2), "export_accounts": ("exported", 0)}
OTHERS = ("deleted", 40)
BUSY = 0.1                      # of the runs of a queue find something to do
ERRORS = {"failed": "the database is locked by another process", "partial": None}
# {sample: its usual value}
SAMPLES = {"queue.depth.forwards": 14, "queue.age.forwards": 240, "queue.depth.notifications": 6,
           "queue.age.notifications": 90, "queue.depth.webhooks": 30, "queue.age.webhooks": 120,
           "queue.depth.exports": 1, "queue.age.exports": 40, "queue.depth.domains": 4,
           "queue.age.domains": 300, "mail.hour": 38}
USED_AN_HOUR = 8 << 20          # bytes of the disk
SAMPLED_HOURS = 3               # between two samples: enough for a chart of a month
ROWS = 15                       # of a statement: SQLite looks for each name among all of them


def fill(db, config, now, free: int) -> None:
    """The rows. Each job's latest slot is left to be due. `free`: bytes of the disk."""
    chance, zone = random.Random(5), schedule.zone(config.section("core").timezone)
    runs = [run for job in catalogue.load_all() for run in _runs(job, now, zone, chance)]
    runs.sort(key=lambda run: run["started_at"])
    with db.transaction():
        # those of the sample data, which would be out of order among these
        db.execute("DELETE FROM {job_runs} WHERE started_at > :since",
                   since=now - timedelta(days=DAYS))
        _insert(db, "job_runs", runs)
        _insert(db, "gauges", list(_samples(now, free, chance)))


def _runs(job, now, zone, chance):
    parsed = schedule.parse(job.schedule)
    slot = schedule.previous(parsed, now, zone)
    usual, (name, most) = chance.randint(10, 120), COUNTS.get(job.name, OTHERS)
    while True:
        step = OFTEN if slot > now - LATELY else SELDOM
        before = schedule.previous(parsed, slot - timedelta(seconds=1), zone)
        if slot - before < step:
            before = schedule.previous(parsed, slot - step, zone)
        if before <= now - timedelta(days=DAYS):
            return
        slot = before
        status = "ok"
        if slot < now - CALM and chance.random() < 0.006:
            status = chance.choice(tuple(ERRORS))
        took = int(usual * chance.uniform(0.6, 1.5))
        started = slot + timedelta(seconds=chance.randint(1, 9))
        yield {"job": job.name, "run_id": f"sample{chance.getrandbits(40):010x}", "slot": slot,
               "trigger_type": "scheduled", "status": status, "host": "sample", "pid": 1,
               "started_at": started, "finished_at": started + timedelta(milliseconds=took),
               "duration_ms": took, "counts": json.dumps({name: _count(most, step, chance)}),
               "error": ERRORS.get(status)}


def _count(most: int, step, chance) -> int:
    """A run of every few minutes mostly finds nothing to do."""
    return chance.randint(0, most) if step == SELDOM or chance.random() < BUSY else 0


def _samples(now, free: int, chance):
    hour = now.replace(minute=0, second=0, microsecond=0)
    for name, level in SAMPLES.items():
        value = float(level)
        for back in range(DAYS * 24 - 1, 0, -SAMPLED_HOURS):
            value = max(0.0, value + chance.uniform(-0.3, 0.3) * level + (level - value) / 8)
            yield {"name": name, "at": hour - timedelta(hours=back), "value": int(value)}
    for back in range(DAYS * 24 - 1, 0, -SAMPLED_HOURS):
        yield {"name": "disk.free", "at": hour - timedelta(hours=back),
               "value": free + back * USED_AN_HOUR}


def _insert(db, table: str, rows: list[dict]) -> None:
    """Many rows of the same columns in few statements."""
    names = list(rows[0])
    for start in range(0, len(rows), ROWS):
        part = rows[start:start + ROWS]
        marks = ", ".join("(" + ", ".join(f":{name}_{at}" for name in names) + ")"
                          for at in range(len(part)))
        db.execute(f"INSERT INTO {{{table}}} ({', '.join(names)}) VALUES {marks}",
                   **{f"{name}_{at}": row[name] for at, row in enumerate(part) for name in names})
