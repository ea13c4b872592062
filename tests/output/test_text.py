"""Times, durations, columns and paragraphs as people read them."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jobs_lib import text as times
from jobs_lib.runner import outcome as outcomes
from jobs_lib.schedule import zone

NOW = datetime(2026, 11, 24, 22, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize("milliseconds, said", [
    (None, "-"), (0, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (9_940, "9.9 s"), (12_300, "12 s"),
    (200_000, "3 min 20 s"), (180_000, "3 min"), (3_900_000, "1 h 5 min"), (36_120_000, "10 h"),
])
def test_how_long_a_run_took(milliseconds, said):
    assert times.took(milliseconds) == said


@pytest.mark.parametrize("seconds, said", [
    (-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (86400 * 3 + 7200, "3 d 2 h"),
    (86400 * 40 + 7200, "40 d"),
])
def test_a_length_of_time_has_at_most_two_units(seconds, said):
    assert times.span(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize("hours, said", [
    (0, "23:30"), (1, "tomorrow 00:30"), (-24, "yesterday 23:30"), (48, "Thu 26 Nov 23:30"),
    (-24 * 10, "Sat 14 Nov 23:30"), (24 * 200, "2027-06-13 00:30"),         # summer time by then
])
def test_a_moment_is_as_short_as_it_is_clear_in_its_zone(hours, said):
    assert times.moment(NOW + timedelta(hours=hours), NOW, zone("Europe/Berlin")) == said


def outcome(**changes) -> dict:
    return {"job": "retry_x", "status": "ok", "duration_ms": 1234, "counts": {},
            "stop_reason": None, "error": None, **changes}


@pytest.mark.parametrize("result, said", [
    (outcome(), "retry_x: done in 1.2 s"),
    (outcome(counts={"sent": 1200, "files": 1, "failed": 0, "access": 1}, duration_ms=200_000),
     "retry_x: done in 3 min 20 s: 1,200 sent, 1 file, 1 access"),
    (outcome(status="partial", stop_reason="budget", counts={"sent": 3}),
     "retry_x: stopped early after 1.2 s (budget), the next run goes on: 3 sent"),
    (outcome(status="interrupted", stop_reason="SIGTERM"),
     "retry_x: stopped after 1.2 s (SIGTERM), the next run goes on"),
    (outcome(status="failed", error="the relay\n  is\tgone", counts={"sent": 3}),
     "retry_x: failed: the relay is gone"),
    (outcome(status="skipped", stop_reason="the lock is held"),
     "retry_x: not started: the lock is held"),
])
def test_an_outcome_is_one_line(result, said):
    assert outcomes.outcome_words(result) == said


@pytest.mark.parametrize("counts, said", [
    ({"done": 10, "total": 50}, "10 of 50 done"),
    ({"done": 0, "total": 50, "rate": 0.5, "seconds_left": 101},
     "0 of 50 done, 0.5 a second, 1 min 41 s left"),
    ({"done": 50, "total": 50, "rate": 2000, "failed": 1},
     "50 of 50 done, 2,000 a second, 1 failed"),
    ({"done": 10}, "10 done"),
    ({"files_removed": 1, "rows": 2}, "1 file removed, 2 rows"),
    ({"unknown_status": 1, "rows": 1}, "1 unknown status, 1 row"),
])
def test_progress_has_items_done_rate_and_time_left(counts, said):
    assert outcomes.counts_words(counts) == said
