"""Samples taken once an hour and kept for 30 days: depths of queues, mail sent, free disk space.

A few numbers an hour in the table `gauges`: the status page can show the past without a query over
the large tables.
"""
from __future__ import annotations

from datetime import datetime, timedelta

from jobs_lib.database import stored

KEPT = timedelta(days=30)


def record(db, health) -> bool:
    """Store what health.collect() found, unless this hour has its samples already, and delete old
    ones, in one commit.

    Samples that a wrong clock has dated in the future are deleted too.
    """
    now, hour = health.now, health.now.replace(minute=0, second=0)

    def work() -> None:
        for name, value in measure(health).items():
            db.upsert("gauges", {"name": name, "at": hour}, {"value": value})
        db.execute("DELETE FROM {gauges} WHERE at < :first", first=now - KEPT)
        db.execute("DELETE FROM {gauges} WHERE at > :now", now=now)

    if db.value("SELECT name FROM {gauges} WHERE at = :hour LIMIT 1", hour=hour) is not None:
        return False
    db.batch(work)
    return True


def measure(health) -> dict[str, int]:
    """{name: value} now; ages in seconds, space in bytes."""
    values = {}
    for queue in health.queues.values():
        values[f"queue.depth.{queue.name}"] = queue.depth
        values[f"queue.age.{queue.name}"] = queue.oldest_due_seconds(health.now)
    sent = health.host.sent()
    if "hour" in sent:
        values["mail.hour"] = int(sent["hour"][0])
    if health.host.disks:
        values["disk.free"] = min(disk.free for disk in health.host.disks)
    return values


def series(db, now: datetime) -> dict[str, list[tuple[datetime, int]]]:
    """{name: [(hour, value)]}, oldest first; at most a value for each hour that is kept."""
    found: dict = {}
    for row in db.query("SELECT name, at, value FROM {gauges} WHERE at >= :first AND at <= :now "
                        "ORDER BY at", first=now - KEPT, now=now):
        if at := stored.time(row["at"]):
            point = at, max(0, stored.number(row["value"]))
            found.setdefault(stored.words(row["name"]), []).append(point)
    return found
