"""The runs area: what killed the last runs, and the budget that would have spared them."""
from __future__ import annotations

import json
import os
from datetime import timedelta

import pytest

from jobs_lib import clock

NOW = clock.now()


def died(clinic, *seconds: int, memory: int | None = None, status: str = "vanished", **values) -> None:
    """Runs that gave their last sign of life so long after their start."""
    for number, lived in enumerate(seconds, 1):
        started = NOW - timedelta(hours=number)
        clinic.db.insert("job_runs", **{
            "run_id": os.urandom(8).hex(), "job": "retry_forwards", "status": status, "started_at": started,
            "heartbeat_at": started + timedelta(seconds=lived), "host": "here", "pid": 100 + number,
            "progress": memory and json.dumps({"done": 1, "memory_mb": memory}), **values})


def test_where_none_died_all_is_well(clinic):
    assert clinic.found("runs") == []


def test_runs_that_died_after_the_same_time_lead_to_a_budget(clinic):
    died(clinic, 118, 121, 120, memory=64)
    found = clinic.one("runs", "killed runs (retry_forwards (3)) died after 118-121 s, holding 64 MB at most")
    assert (found.level, found.mend.split("\n")[1:]) == ("warning", ["  [core]", "  budget = 80s"])


def test_a_budget_that_ends_before_they_died_is_not_proposed_again(lite):
    died(lite, 118, 121)
    lite.configure("core", budget="80s")
    assert lite.one("runs", "The last 2 killed runs").level == "note"


def test_one_alone_may_be_chance(lite):
    died(lite, 118)
    assert lite.one("runs", "The last killed run (retry_forwards) died after 118 s").level == "note"


def test_runs_that_died_at_odd_times_point_to_memory(lite):
    died(lite, 20, 200, memory=250)
    found = lite.one("runs", "20-200 s, holding 250 MB")
    assert (found.level, found.mend.split("\n")[1:]) == ("warning", ["  [core]", "  memory = 250MB"])


def test_the_time_counts_from_the_start_of_the_process(lite):
    """`run-due` had used it for other jobs before."""
    for number in (1, 2):
        began = NOW - timedelta(hours=number)
        for job, ago, status in (("purge_sessions", 0, "ok"), ("retry_forwards", 100, "vanished")):
            lite.db.insert("job_runs", run_id=os.urandom(8).hex(), job=job, status=status, host="here", pid=7 + number,
                           started_at=began + timedelta(seconds=ago), heartbeat_at=began + timedelta(seconds=110))
    assert "  budget = 80s" in lite.one("runs", "died after 110 s").mend


@pytest.mark.parametrize("days, told", [(13, True), (15, False)])
def test_only_the_last_two_weeks_count(lite, days, told):
    died(lite, 118, started_at=NOW - timedelta(days=days), heartbeat_at=NOW - timedelta(days=days))
    assert bool(lite.found("runs")) == told


def test_runs_that_hung_are_told(lite):
    died(lite, 270, status="timeout")
    assert "retry_forwards (1)" in lite.one("runs", "hung and were ended by force").what
