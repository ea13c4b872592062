"""The runs of each job and UTC day: how many ended how, and how long they took. For charts and
metrics."""
from __future__ import annotations

from datetime import date, datetime, timedelta

from jobs_lib.database import stored
from jobs_lib.records import namedtuple

DAYS = 30
ENDS = {"ok": "ok",
        # the next run continues; not an incident by itself
        "partial": "early", "interrupted": "early",
        "failed": "bad", "timeout": "bad", "vanished": "bad"}

Day = namedtuple("Day", "ok early bad mean_ms longest_ms")
Day.__doc__ = "A job's runs of one day, without skipped ones: how they ended, how long they took."


def days(now: datetime) -> list[date]:
    """The days of `by_job`, oldest first; today is the last."""
    today = now.date()
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def by_job(db, now: datetime) -> dict[str, dict[date, Day]]:
    """{job: {day: Day}} of the last 30 days.

    One short statement a day, served by the index of the time: its answer has a row for each job
    and outcome, however often the jobs ran.
    """
    found: dict = {}
    for day in days(now):
        start = datetime(day.year, day.month, day.day, tzinfo=now.tzinfo)
        for job, totals in _day(db, start).items():
            found.setdefault(job, {})[day] = totals
    return found


def outcomes(db, since: datetime, until: datetime) -> dict[tuple[str, str], int]:
    """{(job, status): runs} that began in that time."""
    return {(row["job"], row["status"]): int(row["runs"]) for row in _totals(db, since, until)}


def _totals(db, since: datetime, until: datetime) -> list[dict]:
    return db.query("SELECT job, status, COUNT(*) AS runs, SUM(duration_ms) AS total, "
                    "MAX(duration_ms) AS longest FROM {job_runs} "
                    "WHERE started_at >= :since AND started_at < :until GROUP BY job, status",
                    since=since, until=until)


def _day(db, start: datetime) -> dict[str, Day]:
    rows: dict[str, list[dict]] = {}
    for row in _totals(db, start, start + timedelta(days=1)):
        if row["status"] in ENDS:
            rows.setdefault(row["job"], []).append(row)
    return {job: _sum(of_job) for job, of_job in rows.items()}


def _sum(rows: list[dict]) -> Day:
    """The Day that the rows of one job add up to; there is one row for each status."""
    numbers = {"ok": 0, "early": 0, "bad": 0}
    for row in rows:
        numbers[ENDS[row["status"]]] += int(row["runs"])
    total = sum(stored.milliseconds(row["total"]) for row in rows)
    longest = max(stored.milliseconds(row["longest"]) for row in rows)
    return Day(**numbers, mean_ms=total // sum(numbers.values()), longest_ms=longest)
