"""`list`: every job in a line, with a database or without one; `status` agrees with it."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.support.product import catalogue, clock
from tests.support.shell import Shell

JOBS = catalogue.names()
JOB = "retry_forwards"


@pytest.fixture
def service(tmp_path, sqlite_url):
    return Shell(tmp_path, sqlite_url)


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
    ("enabled = no", "off"), ("delays = soon", "misconfigured"), ("", "paused")])
def test_a_job_that_does_not_run_has_no_next_run(service, line, section, shown):
    if shown == "paused":
        service.run("pause", JOB)
        assert clock.now() - clock.parse(of_job(line)[0]["paused_at"]) < timedelta(minutes=1)
    else:
        line.ini(f"[{JOB}]\n{section}\n")
    found, words = of_job(line)
    assert (found["next"], found["due_since"]) == (None, None)
    assert words.endswith(f"- - {shown}")
    assert len(found["problems"]) == (shown == "misconfigured")


def test_the_last_run_is_shown_with_its_outcome(service, line):
    service.db.insert("job_runs", run_id="1", job=JOB, status="failed", counts="{}",
                      started_at=clock.now() - timedelta(hours=5), error="the relay\nis gone")
    found, words = of_job(line)
    assert " failed 5 h " in words
    assert (found["last_run"]["run_id"], found["last_run"]["error"]) == ("1", "the relay\nis gone")


@pytest.mark.parametrize("minutes, words", [(15, "due now"), (95, "overdue")])
# R59
def test_a_slot_that_was_not_started_is_due_since_then_and_status_agrees(service, line, minutes,
                                                                         words):
    slot = clock.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    service.configure(JOB, schedule=f"{slot.minute} {slot.hour} * * *")
    service.db.upsert("job_state", {"job": JOB}, {"due_after": slot - timedelta(minutes=1)})
    found, shown = of_job(line)
    assert (found["due_since"], found["overdue"]) == (clock.text(slot), minutes > 30)
    assert shown.endswith(words)
    status = service("status", "--json").out
    assert f'"due_since": "{clock.text(slot)}"' in status
    service.db.insert("job_runs", run_id="1", job=JOB, status="ok", slot=slot,
                      started_at=clock.now(), trigger_type="scheduled", counts="{}")
    assert " in " in of_job(line)[1]


def test_a_mistake_in_a_section_is_one_incident_of_all_jobs_that_need_it(service):
    mailing = [JOB, "send_notifications"]
    for job in mailing:
        service.db.upsert("job_state", {"job": job},
                          {"due_after": clock.now() - timedelta(hours=9)})
    service.run("purge_sessions")
    service.configure("mail", hots="relay.example")
    service.configure("alerts", email="me@home.example", disk_free="off")
    found = service.json("status", code=1)
    assert [each["key"] for each in found["incidents"]] == ["configuration:mail"]
    assert found["incidents"][0]["jobs"] == mailing
    assert [job["name"] for job in found["jobs"] if job["state"] == "misconfigured"] == mailing
    listed = {job["name"]: job for job in service.json("list")}
    assert "[mail] hots" in listed[JOB]["problems"][0]
