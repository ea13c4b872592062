"""Once an hour a few numbers are kept, for 30 days."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import catalogue
from jobs_lib.monitoring import health, metrics_samples


def record(bench) -> bool:
    found = health.collect(bench.db, bench._config, catalogue.load_all(), bench.now)
    return metrics_samples.record(bench.db, found)


def kept(bench, name: str) -> list[tuple]:
    series = metrics_samples.series(bench.db, bench.now)
    return [(at.strftime("%d %H:%M"), value) for at, value in series.get(name, [])]


def waiting(bench, number: int) -> None:
    bench.table("failed_emails", [{"status": "pending", "next_attempt_at": bench.ago(minutes=9)}]
                * number)
    bench.table("users", [{"id": 1}] if not bench.ids("users") else [])


def test_it_is_measured_once_an_hour(bench):
    waiting(bench, 2)
    assert record(bench)
    waiting(bench, 3)
    bench.now = bench.ahead(minutes=29)
    assert not record(bench)                                # still the same hour
    bench.now = bench.ahead(minutes=1)
    assert record(bench)
    assert kept(bench, "queue.depth.forwards") == [("24 14:00", 2), ("24 15:00", 5)]
    assert kept(bench, "queue.age.forwards") == [("24 14:00", 9 * 60), ("24 15:00", 39 * 60)]


def test_there_are_few_names(bench):
    record(bench)
    names = {row["name"] for row in bench.rows("gauges")}
    assert {"queue.depth.webhooks", "queue.age.notifications", "mail.hour", "disk.free"} <= names
    assert len(names) <= 30


def test_what_is_older_than_30_days_goes_and_the_boundary_stays(bench):
    at = bench.now.replace(minute=0, second=0)
    bench.table("gauges", [{"name": "x", "at": at - timedelta(days=30), "value": 1},
                           {"name": "x", "at": at - timedelta(days=30) + timedelta(hours=1),
                            "value": 2}])
    bench.now = at                                          # to the second
    record(bench)
    assert kept(bench, "x") == [("25 14:00", 1), ("25 15:00", 2)]
    bench.now += timedelta(hours=1)
    record(bench)
    assert [row["value"] for row in bench.rows("gauges") if row["name"] == "x"] == [2]


def test_what_a_clock_that_was_wrong_has_written_goes(bench):
    bench.table("gauges", [{"name": "x", "at": bench.ahead(days=400), "value": 1}])
    record(bench)
    assert [row for row in bench.rows("gauges") if row["name"] == "x"] == []
