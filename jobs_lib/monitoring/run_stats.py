"""The runs of each job and UTC day: how many ended how, and how long they took. For charts and
metrics."""
from __future__ import annotations

from collections import namedtuple
from datetime import date, datetime, timedelta

from jobs_lib.database import stored

DAYS = 30
GOOD = ("ok",)
BAD = ("failed", "timeout", "vanished")
EARLY = ("partial", "interrupted")          # the next run goes on; no trouble by itself

Day = namedtuple("Day", "ok early bad mean_ms longest_ms")
Day.__doc__ = "A job's runs of one day: numbers by how they ended, and how long they took. Skipped ones are none."


def days(now: datetime) -> list[date]:
    """The days that `by_job` tells of, oldest first; today is the last."""
    today = now.date()
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def by_job(db, now: datetime) -> dict[str, dict[date, Day]]:
    """{job: {day: Day}} of the last 30 days. A day is read at a time, by the index of the time:
    each is a short statement whose answer has a row for each job and outcome, however often the
    jobs ran."""
    found: dict = {}
    for day in days(now):
        for job, totals in _day(db, datetime(day.year, day.month, day.day,
                                             tzinfo=now.tzinfo)).items():
            found.setdefault(job, {})[day] = totals
    return found


def outcomes(db, since: datetime, until: datetime) -> dict[tuple[str, str], int]:
    """{(job, status): runs} that began in that time."""
    return {(row["job"], row["status"]): int(row["runs"]) for row in _totals(db, since, until)}


def _totals(db, since: datetime, until: datetime) -> list[dict]:
    return db.query("SELECT job, status, COUNT(*) AS runs, SUM(duration_ms) AS total, "
                    "MAX(duration_ms) AS longest"
                    " FROM {job_runs} WHERE started_at >= :since AND started_at < :until "
                    "GROUP BY job, status", since=since, until=until)


def _day(db, start: datetime) -> dict[str, Day]:
    found: dict = {}
    for row in _totals(db, start, start + timedelta(days=1)):
        if row["status"] not in (*GOOD, *EARLY, *BAD):
            continue
        runs, total, longest = int(row["runs"]), stored.milliseconds(row["total"]), stored.milliseconds(row["longest"])
        numbers = found.setdefault(row["job"], {"ok": 0, "early": 0, "bad": 0, "total": 0,
                                                "longest": 0})
        numbers["bad" if row["status"] in BAD else "early" if row["status"] in EARLY
                else "ok"] += runs
        numbers["total"] += total
        numbers["longest"] = max(numbers["longest"], longest)
    return {job: Day(n["ok"], n["early"], n["bad"], n["total"] // (n["ok"] + n["early"] + n["bad"]),
                     n["longest"]) for job, n in found.items()}
