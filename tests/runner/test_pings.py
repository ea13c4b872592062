"""A service outside is called at the end of each tick; whatever comes of it, nothing else
changes."""
from __future__ import annotations

import socket
from threading import Event
from time import monotonic

import pytest

from jobs_lib.config import loader
from jobs_lib.monitoring import alert_messages
from jobs_lib.runner import pings
from jobs_lib.runner.resources import Ports, Session
from tests.servers.ports import free_port
from tests.servers.web import Web, silent
from tests.support.patience import SOON
from tests.support.shell import utc


@pytest.fixture
def outside():
    """The service."""
    with Web() as web:
        yield web


def url(web, path: str = "/ping/abc") -> str:
    return f"http://127.0.0.1:{web.port}{path}"


def calls(web) -> list[str]:
    """The paths that were called, without their query."""
    return [heard.line.split()[1].partition("?")[0] for heard in web.requests]


@pytest.mark.parametrize("way", ["ping", "webhook"])
def test_a_name_server_that_hangs_holds_nobody_up(site, monkeypatch, way):
    site.configure("alerts", timeout="1s", webhook="http://hook.example/x")
    released, configured = Event(), loader.load(str(site.folder / "config.ini"),
                                                beside=str(site.folder))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(60) and [])
    ports, began = Ports(configured), monotonic()
    if way == "ping":
        said = pings.call(configured, ports, "http://ping.example/x")
    else:
        with alert_messages.way_of(Session(configured, ports, None), 9) as sending:
            said = alert_messages.send("webhook", alert_messages.plain("x", "y"), sending)
    assert said == "no answer within 1 seconds"
    assert monotonic() - began < SOON
    released.set()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 Oh\r\n\r\n", b"nonsense\r\n\r\n", b"", None])
def test_a_service_that_is_broken_or_down_harms_nothing(site, answer):
    site.enable("tick_critical")
    if answer is None:
        site.configure("alerts", ping_url=f"http://127.0.0.1:{free_port()}/x")
        done = site("run-due", now="2026-11-24 14:31:00")
    else:
        with Web(answer) as web:
            site.configure("alerts", ping_url=url(web))
            done = site("run-due", now="2026-11-24 14:31:00")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert site.outcomes("tick_critical") == ["ok"]


@pytest.mark.slow
def test_a_service_that_hangs_holds_a_tick_up_no_longer_than_the_time_out(site):
    with Web(silent) as web:
        site.configure("alerts", timeout="1s", ping_url=url(web))
        done = site("run-due")
    assert (done.code, done.err) == (0, "")
    assert 1 <= done.seconds < SOON


# Each tick

def test_each_tick_calls_also_with_nothing_due_and_writes_nothing_then(site, outside):       # R10
    site("run-due")
    site.configure("alerts", ping_url=url(outside))
    before = site.db.value("PRAGMA data_version")
    assert site("run-due").code == 0
    assert calls(outside) == ["/ping/abc"]
    assert site.db.value("PRAGMA data_version") == before


def test_a_tick_without_a_database_calls_as_a_failure(site, tmp_path, outside):
    site.configure(database=f"sqlite:///{tmp_path}/mistyped.db")
    site.configure("alerts", ping_url=url(outside))
    done = site("run-due")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert calls(outside) == ["/ping/abc/fail"]
    assert b"mistyped.db" in outside.requests[0].body


def test_a_tick_whose_database_goes_away_between_two_jobs_calls_as_a_failure(site, outside):
    site.enable("tick_critical", "tick_low")
    site.configure("alerts", ping_url=url(outside))
    assert site("run-due", breaks="jobs_lib.launch.launch:show").code == 1
    assert site.outcomes("tick_critical") == ["ok"]
    assert calls(outside) == ["/ping/abc/fail"]
    assert outside.requests[0].body == b"the database went away"


def test_a_job_that_fails_is_not_the_tick_s_failure(site, outside):
    site.enable("fail")
    site.configure("alerts", ping_url=url(outside))
    assert site("run-due").code == 1
    assert calls(outside) == ["/ping/abc"]


def test_a_job_that_cannot_be_started_makes_the_tick_fail(site, outside):
    site.configure("tick_last", schedule="every monday")
    site.configure("alerts", ping_url=url(outside))
    assert site("run-due").code == 78
    assert calls(outside) == ["/ping/abc/fail"]
    assert b"every monday" in outside.requests[0].body


def test_a_tick_that_finds_another_at_work_does_not_call(site, outside):
    site.configure("alerts", ping_url=url(outside))
    site.enable("dig", items="100000", pause="100")
    working = site.start("run-due", now="2026-11-24 14:31:00")
    site.working("dig")
    assert site("run-due").code == 0
    assert calls(outside) == []
    working.kill()


# The last job of a tick

ALL = ("tick_critical", "tick_low", "tick_last")


def test_the_last_job_comes_after_all_others_even_when_it_is_late(site, ticks):
    site.enable(*ALL)
    site.began("tick_last", utc("2026-11-20 14:30"))
    site.began("tick_low", utc("2026-11-24 14:25"))
    assert ticks.names("2026-11-24 14:31") == ["tick_critical", "tick_low", "tick_last"]


def test_the_last_job_runs_when_the_others_have_used_up_the_budget(site, ticks):
    site.enable("tick_critical", "tick_low", takes="1000")
    site.enable("tick_last")
    before = ticks.seconds
    assert ticks.names("2026-11-24 14:31") == ["tick_critical", "tick_low", "tick_last"]
    assert ticks.seconds - before == 240

