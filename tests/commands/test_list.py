"""`list`: every job in a line, with a database or without one."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from jobs_lib import catalogue, clock
from jobs_lib.runner import slots
from tests.support.shell import Shell

JOBS = catalogue.names()
JOB = "retry_forwards"


@pytest.fixture
def service(tmp_path, engine_url):
    return Shell(tmp_path, engine_url)


def of_job(line) -> tuple[dict, str]:
    """(its object in the JSON, its line without the name and with single spaces)."""
    found = {job["name"]: job for job in line.json("list")}[JOB]
    shown = next(text for text in line("list").out.splitlines() if text.startswith(f"{JOB} "))
    return found, " ".join(shown.split()[1:])


def test_every_job_is_one_line(service, line):
    lines = line("list").out.splitlines()
    assert lines[0].split() == ["JOB", "WHEN", "LAST", "AGO", "NEXT"]
    assert [text.split()[0] for text in lines[1:]] == JOBS
    assert max(map(len, lines)) <= 80
    assert [job["name"] for job in line.json("list")] == JOBS


def test_without_a_database_it_lists_all_the_same_and_says_so(line):
    line.ini("[core]\ndatabase = sqlite:///none.db\n")
    answer = line("list")
    assert answer.code == 0
    assert answer.out.startswith("Nothing is known of past runs: no SQLite file")
    assert all(f"\n{name} " in answer.out for name in JOBS)
    assert [job["last_run"] for job in line.json("list")] == [None] * len(JOBS)
    assert not (line.folder / "none.db").exists()


def test_the_next_run_is_in_utc_in_the_json(line):
    line.ini(f"[core]\ntimezone = Asia/Kolkata\n[{JOB}]\nschedule = 0 6 * * *\n")
    found, shown = of_job(line)
    following = clock.parse(found["next"])
    assert following.strftime("%H:%M") == "00:30"
    assert following > datetime.now(timezone.utc)
    assert shown.startswith("daily at 06:00 - - in ")


@pytest.mark.parametrize("section, shown", [
    ("enabled = no", "off"), ("delays = soon", "misconfigured")])
def test_a_job_that_does_not_run_has_no_next_run(line, section, shown):
    line.ini(f"[{JOB}]\n{section}\n")
    found, words = of_job(line)
    assert found["next"] is None
    assert words.endswith(f"- - {shown}")
    assert len(found["problems"]) == (shown == "misconfigured")


def test_a_paused_job_says_so(service, line):
    service.run("pause", JOB)
    found, words = of_job(line)
    assert words.endswith("paused")
    assert found["next"] is None
    assert clock.now() - clock.parse(found["paused_at"]) < timedelta(minutes=1)


def test_the_last_run_is_shown_with_its_outcome(service, line):
    service.db.insert("job_runs", run_id="1", job=JOB, status="failed", counts="{}",
                      started_at=clock.now() - timedelta(hours=5), error="the relay\nis gone")
    found, words = of_job(line)
    assert " failed 5 h " in words
    assert (found["last_run"]["run_id"], found["last_run"]["error"]) == ("1", "the relay\nis gone")


@pytest.mark.parametrize("minutes, words", [(15, "due now"), (95, "overdue")])
def test_a_slot_that_was_not_started_is_due_since_then(service, line, minutes, words):
    slot = clock.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    service.configure(JOB, schedule=f"{slot.minute} {slot.hour} * * *")
    service.db.upsert("job_state", {"job": JOB}, {"due_after": slot - timedelta(minutes=1)})
    found, shown = of_job(line)
    assert (found["due_since"], found["overdue"]) == (clock.text(slot), minutes > 30)
    assert shown.endswith(words)
    service.db.insert("job_runs", run_id="1", job=JOB, status="ok", slot=slot,
                      started_at=clock.now(), trigger_type="scheduled", counts="{}")
    assert " in " in of_job(line)[1]


def test_it_is_due_since_the_first_slot_that_was_missed(service, line):
    missed = clock.now().replace(second=0, microsecond=0) - timedelta(hours=3)
    service.configure(JOB, schedule="* * * * *")
    service.db.upsert("job_state", {"job": JOB}, {"due_after": missed - timedelta(minutes=1)})
    assert of_job(line)[0]["due_since"] == clock.text(missed)


@pytest.mark.parametrize("state", [{"due_after": slots.OFF}, {"paused_at": "2026-01-01 00:00:00",
                                                              "due_after": None}])
def test_what_does_not_count_is_not_due(service, line, state):
    service.db.upsert("job_state", {"job": JOB}, state)
    assert of_job(line)[0]["due_since"] is None
