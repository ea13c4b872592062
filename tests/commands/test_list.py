"""`list`: every job with its times and its last run, with a database or without one."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jobs_lib import catalogue, clock, schedule, schedule_text
from jobs_lib.runner import slots
from tests.support.shell import Shell

JOBS = catalogue.names()


@pytest.fixture
def service(tmp_path, engine_url):
    return Shell(tmp_path, engine_url)


def seen(text: str, job: str) -> str:
    """The lines of one job, as one."""
    block = next(block for block in text.split("\n\n") if block.startswith(job))
    return " ".join(block.split())


def test_every_job_is_there_with_what_it_does_and_when(line):
    found = {job["name"]: job for job in line.json("list")}
    assert sorted(found) == JOBS
    for name in JOBS:
        job = catalogue.load(name)
        assert found[name]["summary"] == job.summary
        assert found[name]["schedule"] == job.schedule
        assert found[name]["when"] == schedule_text.words(schedule.parse(job.schedule))
    out = line("list").out
    assert all(found[name]["when"] in seen(out, name) and found[name]["summary"] in seen(out, name)
               for name in JOBS)


def test_without_a_database_it_lists_all_the_same_and_says_so(line):
    line.ini("[core]\ndatabase = sqlite:///none.db\n")
    answer = line("list")
    assert answer.code == 0
    assert answer.out.startswith("Nothing is known of past runs: no SQLite file")
    assert all(seen(answer.out, name).endswith("no run yet") for name in JOBS)
    assert [job["last_run"] for job in line.json("list")] == [None] * len(JOBS)
    assert not (line.folder / "none.db").exists()


def test_the_next_runs_are_in_the_configured_zone_and_in_utc_in_the_json(line):
    line.ini("[core]\ntimezone = Asia/Kolkata\n[retry_forwards]\nschedule = 0 6 * * *\n")
    found = {job["name"]: job for job in line.json("list", "--next", "3")}["retry_forwards"]
    times = [clock.parse(time) for time in found["next"]]
    assert [time.strftime("%H:%M") for time in times] == ["00:30"] * 3
    assert times[0] > datetime.now(timezone.utc)
    assert times[1] - times[0] == times[2] - times[1] == timedelta(days=1)
    # in its schedule, too
    assert seen(line("list", "--next", "3").out, "retry_forwards").count(" 06:00") == 4
    assert found["when"] == "daily at 06:00"


def test_a_switched_off_job_has_no_next_run(line):
    line.ini("[retry_forwards]\nenabled = no\n")
    found = {job["name"]: job for job in line.json("list")}["retry_forwards"]
    assert (found["enabled"], found["next"]) == (False, [])
    assert "Switched off (enabled = no); no run yet" in seen(line("list").out, "retry_forwards")


def test_a_job_whose_section_is_wrong_is_listed_with_the_problem(line):
    line.ini("[retry_forwards]\ndelays = soon\n")
    assert line("list").code == 0
    text = seen(line("list").out, "retry_forwards")
    assert "Does not run: its configuration is wrong" in text
    assert "[retry_forwards] delays = 'soon'" in text
    found = {job["name"]: job for job in line.json("list")}["retry_forwards"]
    assert found["next"] == []
    assert len(found["problems"]) == 1


def test_the_last_run_is_shown_with_its_counts_or_its_error(service, line):
    now = clock.now()
    service.db.insert("job_runs", run_id="1", job="retry_forwards", status="ok", started_at=now
                      - timedelta(hours=5), finished_at=now, duration_ms=1234, counts='{"sent": 5, '
                      '"failed": 0}')
    assert "; last ok 5 h ago (5 sent)" in seen(line("list").out, "retry_forwards")
    service.db.insert("job_runs", run_id="2", job="retry_forwards", status="failed", started_at=now
                      - timedelta(minutes=3, seconds=1), counts="{}", error="the relay\nis gone")
    assert "(the relay is gone)" in seen(line("list").out, "retry_forwards")
    found = {job["name"]: job for job in line.json("list")}["retry_forwards"]["last_run"]
    assert (found["run_id"], found["status"], found["error"]) == ("2", "failed",
                                                                  "the relay\nis gone")


def test_a_paused_job_says_since_when(service, line):
    service.run("pause", "retry_forwards")
    assert "Paused since " in seen(line("list").out, "retry_forwards")
    found = {job["name"]: job for job in line.json("list")}["retry_forwards"]
    assert clock.now() - clock.parse(found["paused_at"]) < timedelta(minutes=1)
    assert found["next"] == []


@pytest.mark.parametrize("minutes, words", [(15, "Due now, since "), (95, "Overdue since ")])
def test_a_slot_that_was_not_started_is_due_since_then(service, line, minutes, words):
    slot = clock.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    service.configure("retry_forwards", schedule=f"{slot.minute} {slot.hour} * * *")
    service.db.upsert("job_state", {"job": "retry_forwards"},
                      {"due_after": slot - timedelta(minutes=1)})
    found = {job["name"]: job for job in line.json("list")}["retry_forwards"]
    assert (found["due_since"], found["overdue"]) == (clock.text(slot), minutes > 30)
    assert words in (text := seen(line("list").out, "retry_forwards"))
    assert ("(is cron running?)" in text) == (minutes > 30)
    service.db.insert("job_runs", run_id="1", job="retry_forwards", status="ok", slot=slot,
                      started_at=clock.now(), trigger_type="scheduled", counts="{}")
    assert "Next " in seen(line("list").out, "retry_forwards")


def test_it_is_due_since_the_first_slot_that_was_missed(service, line):
    missed = clock.now().replace(second=0, microsecond=0) - timedelta(hours=3)
    service.configure("retry_forwards", schedule="* * * * *")
    service.db.upsert("job_state", {"job": "retry_forwards"},
                      {"due_after": missed - timedelta(minutes=1)})
    assert {job["name"]: job
            for job in line.json("list")}["retry_forwards"]["due_since"] == clock.text(missed)


@pytest.mark.parametrize("state", [{"due_after": slots.OFF}, {"paused_at": "2026-01-01 00:00:00",
                                                              "due_after": None}])
def test_what_does_not_count_is_not_due(service, line, state):
    service.db.upsert("job_state", {"job": "retry_forwards"}, state)
    assert {job["name"]: job for job in line.json("list")}["retry_forwards"]["due_since"] is None
