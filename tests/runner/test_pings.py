"""A service outside is called when runs start and end, and each tick; whatever comes of it, no run
is touched."""
from __future__ import annotations

import json
import socket
from threading import Event
from time import monotonic
from uuid import UUID

import pytest

from jobs_lib.config import loader
from jobs_lib.monitoring import alert_messages
from jobs_lib.monitoring.alert_channels import send_webhook
from jobs_lib.ports.http.message import trusted
from jobs_lib.runner import pings
from jobs_lib.runner.resources import Ports
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


def test_a_run_calls_at_its_start_and_at_its_end(site, outside):
    site.configure("dig", ping_url=url(outside))
    run = site.job("dig", "--set", "items=1")
    assert calls(outside) == ["/ping/abc/start", "/ping/abc"]
    rids = {heard.line.split()[1].partition("?rid=")[2] for heard in outside.requests}
    assert len(rids) == 1
    assert rids.pop().replace("-", "")[:16] == run["run_id"]
    assert outside.requests[1].body.startswith(b"dig: done in ")


def test_its_run_id_is_a_uuid_as_healthchecks_wants_it(site, outside):
    site.configure("dig", ping_url=url(outside))
    site.job("dig", "--set", "items=1")
    rid = outside.requests[0].line.split()[1].partition("?rid=")[2]
    assert str(UUID(rid)) == rid


def test_a_failure_is_called_as_one_with_the_end_of_the_log(site, outside):
    site.configure("fail", ping_url=url(outside, '/ping/abc?create=1'))
    site("fail")
    assert calls(outside) == ["/ping/abc/start", "/ping/abc/fail"]
    assert "?create=1&rid=" in outside.requests[1].line
    outcome, _, log = outside.requests[1].body.decode().partition("\n\n")
    assert outcome.startswith("fail: failed")
    assert [json.loads(line)["event"] for line in log.splitlines()][-1] == "run ended"


def test_the_body_has_10_kB_at_most_and_is_of_this_run_alone(site, outside):
    for _ in range(2):
        site.configure("chatter", ping_url=url(outside))
        run = site.job("chatter", "--set", "lines=300")
    body = outside.requests[-1].body
    assert 5_000 < len(body) <= 10_000
    lines = body.decode().partition("\n\n")[2].splitlines()
    assert {json.loads(line)["run_id"] for line in lines} == {run["run_id"]}


def test_a_dry_run_and_one_that_is_not_begun_call_nobody(site, outside):
    site.enable("dig")
    site.configure("dig", ping_url=url(outside), items="1")
    site("dig", "--dry-run")
    site("dig", "--scheduled", now="2026-11-24 14:31:00")
    assert len(outside.requests) == 2
    site("dig", "--scheduled", now="2026-11-24 14:31:00")           # its slot is done
    assert len(outside.requests) == 2


@pytest.mark.slow
def test_a_service_that_hangs_holds_a_run_up_no_longer_than_the_time_out(site):
    with Web(silent) as web:
        site.configure("alerts", timeout="1s")
        site.configure("dig", ping_url=url(web))
        done = site("dig", "--set", "items=1")
    assert (done.code, done.err) == (0, "")
    assert 2 <= done.seconds < SOON             # two calls
    assert [event["error"] for event in site.events("dig") if event["event"] == "ping failed"] == [
        "no answer within 1 seconds"] * 2


@pytest.mark.parametrize("way", ["ping", "webhook"])
def test_a_name_server_that_hangs_holds_nobody_up_either(site, monkeypatch, way):
    site.configure("alerts", timeout="1s", webhook="http://hook.example/x")
    released, configured = Event(), loader.load(str(site.folder / "config.ini"),
                                                beside=str(site.folder))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(60) and [])
    alerts, ports, began = configured.section("alerts"), Ports(configured), monotonic()
    if way == "ping":
        said = pings.call(configured, ports, "http://ping.example/x")
    else:
        poster = ports.http(trusted(configured.section("webhooks"), alerts.timeout))
        said = send_webhook(alert_messages.trial(), alerts, poster)
    assert said == "no answer within 1 seconds"
    assert monotonic() - began < SOON
    released.set()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 Oh\r\n\r\n", b"nonsense\r\n\r\n", b""])
def test_a_service_that_is_broken_harms_nothing(site, answer):
    with Web(answer) as web:
        site.configure("dig", ping_url=url(web))
        done = site("dig", "--set", "items=1")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert site.outcomes("dig") == ["ok"]


def test_a_service_that_is_down_harms_nothing(site):
    site.configure("dig", ping_url=f"http://127.0.0.1:{free_port()}/x")
    done = site("dig", "--set", "items=1")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert len([event for event in site.events("dig") if event["event"] == "ping failed"]) == 2


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

