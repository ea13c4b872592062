"""Runs by job and UTC day, from the history as far as it is there."""
from __future__ import annotations

from datetime import date

from jobs_lib.monitoring import run_statistics
from jobs_lib.monitoring.run_statistics import Day
from tests.support.plans import analyse, problems

TODAY = date(2026, 11, 24)


def runs(bench, *found: tuple) -> None:
    """(started, status, milliseconds) each."""
    bench.table("job_runs", [{"run_id": f"r{number}", "job": "retry_forwards", "status": status,
                              "started_at": at, "duration_ms": took} for number,
                             (at, status, took) in enumerate(found)])


def test_a_day_tells_how_many_ended_how_and_how_long_they_took(bench):
    runs(bench, (bench.ago(hours=1), "ok", 100), (bench.ago(hours=2), "ok", 300),
         (bench.ago(hours=3), "failed", 800), (bench.ago(hours=4), "partial", 0),
         (bench.ago(hours=5), "vanished", None),
         # what found another at work, or is at work, is none
         (bench.ago(hours=1), "skipped", 0), (bench.ago(hours=1), "running", None))
    assert run_statistics.by_job(bench.db, bench.now) == {
        "retry_forwards": {TODAY: Day(2, 1, 2, 240, 800)}}


def test_an_index_serves_each_day(bench):          # R15
    bench.bulk("job_runs", [{"run_id": f"r{number}", "job": f"job{number % 9}", "status": "ok",
                             "duration_ms": 5, "started_at": bench.ago(minutes=number * 43)}
                            for number in range(3000)])
    analyse(bench.db, ["job_runs"])
    heard = []
    bench.db.on_statement = lambda sql, values: heard.append((sql, values))
    run_statistics.by_job(bench.db, bench.now)
    bench.db.on_statement = None
    assert len(heard) == 30
    assert [why for sql, values in heard for why in problems(bench.db, sql, values,
                                                             ("job_runs",))] == []
