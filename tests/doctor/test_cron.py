"""The cron area: is cron coming, how often, is the crontab in twice?"""
from __future__ import annotations

import os
from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.runner import slots

NOW = clock.now()


def ran(installed, ago: timedelta, job: str = "retry_forwards", **values) -> None:
    """A run that cron started this long ago."""
    started = NOW - ago
    installed.db.insert("job_runs", **{
        "run_id": os.urandom(8).hex(), "job": job, "trigger_type": "scheduled", "status": "ok",
        "started_at": started,
        "finished_at": started, "duration_ms": 10, "installation": installed.installation,
        "host": "here", **values})


def every(installed, minutes: int, times: int, **values) -> None:
    for number in range(times, 0, -1):
        ran(installed, timedelta(minutes=minutes * number), **values)


def installed(installed, ago: timedelta) -> None:
    installed.now = NOW
    for name in (job.name for job in installed.examined().jobs):
        installed.db.upsert("job_state", {"job": name}, {"due_after": NOW - ago})


@pytest.fixture
def quiet(lite):
    """No job is ever overdue, so only what a test does is reported."""
    lite.now = NOW
    for job in lite.examined().jobs:
        lite.db.upsert("job_state", {"job": job.name}, {"due_after": slots.OFF})
    return lite


def test_right_after_the_installation_cron_may_be_awaited(lite):
    installed(lite, timedelta(minutes=10))
    found = lite.one("cron", "Cron has not come yet")
    assert (found.level, "jobs.py crontab" in found.fix) == ("note", True)


def test_a_cron_that_never_came_is_a_problem(lite):
    installed(lite, timedelta(hours=2))
    assert next(found for found in lite.found("cron")
                if "never come" in found.what).level == "problem"


def test_a_cron_that_has_stopped_is_a_problem(quiet):
    ran(quiet, timedelta(hours=3))
    found = quiet.one("cron", "Cron came last 3 h ago")
    assert found.level == "problem"
    # once an hour is all that some hosts allow
    ran(quiet, timedelta(minutes=64))
    assert quiet.found("cron") == []


def test_a_tick_that_found_nothing_to_do_counts(quiet):
    ran(quiet, timedelta(hours=3))
    os.mkdir(quiet.folder / "state" / "locks", 0o700)
    (quiet.folder / "state" / "locks" / "run-due.lock").write_text("")
    assert quiet.found("cron") == []


def test_a_run_by_hand_is_no_tick(quiet):
    ran(quiet, timedelta(hours=3))
    ran(quiet, timedelta(minutes=1), trigger_type="manual")
    assert "came last 3 h ago" in quiet.one("cron", "Cron").what


def test_how_often_the_host_really_ticks_is_reported(quiet):
    every(quiet, 15, 8)
    found = quiet.one("cron", "Cron really comes every 15 min here, not every 5 min")
    assert found.level == "note"


def test_a_host_that_keeps_time_is_in_order(quiet):
    every(quiet, 5, 12)
    assert quiet.found("cron") == []
    assert "cron comes every 5 min" in [found.what for found in quiet.all("cron")]


def test_a_long_silence_is_reported(quiet):
    ran(quiet, timedelta(hours=4, minutes=40))
    every(quiet, 5, 8)
    assert "Cron stayed away for 4 h" in quiet.one("cron", "stayed away").what


def test_overdue_jobs_are_named(lite):
    installed(lite, timedelta(days=3))
    lite.now = NOW
    ran(lite, timedelta(minutes=3), slot=NOW - timedelta(minutes=4))
    assert "purge_failed_emails since " in next(found.what for found in lite.found("cron")
                                                if "Overdue" in found.what)


def test_two_installations_on_one_database_are_reported(quiet):
    ran(quiet, timedelta(minutes=3))
    ran(quiet, timedelta(minutes=4), installation="f00", host="other-host")
    found = quiet.one("cron", "Another installation has worked on this database")
    assert (found.level, "other-host" in found.what, "lock = database" in found.fix) == ("problem",
                                                                                          True,
                                                                                          True)


def test_an_installation_that_has_moved_is_forgotten_after_two_days(quiet):
    ran(quiet, timedelta(days=3), installation="f00", host="other-host")
    ran(quiet, timedelta(minutes=3))
    assert quiet.found("cron") == []
