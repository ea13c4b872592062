"""`pause` and `resume`: cron leaves a paused job alone, and taking it up again fires nothing
old."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.support.product import catalogue, clock
from tests.support.shell import Shell

OTHERS_OFF = {name: {"enabled": "no"} for name in catalogue.names() if name != "retry_forwards"}


@pytest.fixture
def service(tmp_path, engine_url):
    service = Shell(tmp_path, engine_url, **OTHERS_OFF)
    service.db.execute("UPDATE {job_state} SET due_after = NULL")       # its latest slot is due
    return service


def runs(service) -> list[dict]:
    return json.loads(service.run("history", "--json"))


def state(service) -> dict:
    return service.db.row("SELECT paused_at, due_after FROM {job_state} "
                          "WHERE job = 'retry_forwards'")


def test_a_paused_job_is_not_started_by_cron_but_by_hand(service):
    service.run("pause", "retry_forwards")
    service.run("run-due")
    service.run("retry_forwards", "--scheduled")
    assert runs(service) == []
    assert service.job("retry_forwards")["status"] == "ok"
    # one that was never seen
    service.db.execute("DELETE FROM {job_state}")
    service.run("pause", "retry_forwards")
    service.run("run-due")
    assert len(runs(service)) == 1
    assert json.loads(service.run("resume", "retry_forwards", "--json"))["changed"] is True


def test_resuming_fires_nothing_by_itself(service):         # R7
    resumed = clock.now().replace(minute=31, second=30)         # between two of its times
    service.run("pause", "retry_forwards", now=clock.text(resumed))
    out = service.run("resume", "retry_forwards", now=clock.text(resumed))
    assert out.startswith("retry_forwards would do now: nothing\n")           # it has never run
    assert "retry_forwards is resumed. It was paused since " in out
    assert " Next run: " in out
    service.run("run-due", now=clock.text(resumed))
    assert runs(service) == []
    # five minutes later the next has come
    service.run("run-due", now=clock.text(resumed + timedelta(minutes=5)))
    assert len(runs(service)) == 1


def test_pausing_twice_keeps_the_first_time_and_says_so(service):
    service.run("pause", "retry_forwards")
    first = clock.now() - timedelta(days=3)
    service.db.execute("UPDATE {job_state} SET paused_at = :first WHERE job = 'retry_forwards'",
                       first=first)
    assert service.run("pause", "retry_forwards").startswith("retry_forwards is paused already, "
                                                             "since ")
    assert state(service)["paused_at"] == clock.text(first)
    told = json.loads(service.run("pause", "retry_forwards", "--json"))
    assert told == {"job": "retry_forwards", "paused_at": clock.text(first), "changed": False}


def test_resuming_what_is_not_paused_changes_nothing(service):
    assert service.run("resume", "retry_forwards").startswith("retry_forwards is not paused; "
                                                              "nothing was changed.")
    assert state(service) == {"paused_at": None, "due_after": None}
    service.run("run-due")
    assert len(runs(service)) == 1


def test_resume_mail_ends_a_pause_of_the_relay_at_once(service):
    service.configure("mail", transport="maildir", maildir="maildir")
    service.forwards(1)
    service.db.insert("relay_state", id=1, paused_until=clock.now() + timedelta(minutes=40),
                      since=clock.now(), reason="no answer in time", failures=4)
    assert service.job("retry_forwards")["counts"].get("sent", 0) == 0
    said = service.run("resume", "mail")
    assert said.startswith("Mail was paused until ")
    assert "no answer in time" in said
    assert service.job("retry_forwards")["counts"]["sent"] == 1
    assert json.loads(service.run("resume", "mail", "--json"))["changed"] is False
    assert service.run("resume", "mail") == "Mail is not paused; nothing was changed.\n"
    # only a run can do so
    refused = service("pause", "mail")
    assert (refused.code, "`resume mail` ends that" in refused.err) == (2, True)


def test_all_jobs_are_paused_and_resumed_at_once(service):
    said = service.run("pause", "all")
    assert said.startswith(f"All {len(catalogue.names())} jobs are paused")
    paused = "SELECT COUNT(*) FROM {job_state} WHERE paused_at IS NOT NULL"
    assert service.db.value(paused) == len(catalogue.names())
    states = json.loads(service.run("resume", "all", "--json"))
    assert [state["job"] for state in states] == catalogue.names()
    assert all(state["changed"] for state in states)
    assert service.db.value(paused) == 0
    assert service.run("resume", "all") == "No job is paused; nothing was changed.\n"
