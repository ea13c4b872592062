"""What is measured once an hour and kept for 30 days: depths of queues, mail sent, free disk, sizes
of tables.

A few numbers an hour in a table of their own, so that the status page can show how things went
without asking the large tables about their past.
"""
from __future__ import annotations

from datetime import datetime, timedelta

from jobs_lib.database import stored

KEPT = timedelta(days=30)


def record(db, health) -> bool:
    """Store what health.collect() found, unless this hour is measured already, and forget what is
    old. One commit.

    What a clock that was wrong has written ahead of time goes too.
    """
    now, hour = health.now, health.now.replace(minute=0, second=0)

    def work() -> None:
        for name, value in measures(health).items():
            db.upsert("gauges", {"name": name, "at": hour}, {"value": value})
        db.execute("DELETE FROM {gauges} WHERE at < :first", first=now - KEPT)
        db.execute("DELETE FROM {gauges} WHERE at > :now", now=now)

    if db.value("SELECT name FROM {gauges} WHERE at = :hour LIMIT 1", hour=hour) is not None:
        return False
    db.batch(work)
    return True


def measures(health) -> dict[str, int]:
    """{name: value} of this moment."""
    values = {}
    for queue in health.queues.values():
        values[f"queue.depth.{queue.name}"] = queue.depth
        values[f"queue.age.{queue.name}"] = (
            int((health.now - queue.oldest_due_at).total_seconds()) if queue.oldest_due_at else 0)
    if "hour" in health.host.sent:
        values["mail.hour"] = int(health.host.sent["hour"][0])
    if health.host.disks:
        values["disk.free"] = min(disk.free for disk in health.host.disks)
    return values


def series(db, now: datetime) -> dict[str, list[tuple[datetime, int]]]:
    """{name: [(hour, value)]}, oldest first; at most a value for each hour that is kept."""
    found: dict = {}
    for row in db.query("SELECT name, at, value FROM {gauges} WHERE at >= :first AND at <= :now "
                        "ORDER BY at", first=now - KEPT, now=now):
        if at := stored.time(row["at"]):
            found.setdefault(stored.words(row["name"]),
                             []).append((at, max(0, stored.number(row["value"]))))
    return found
