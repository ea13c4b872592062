"""A service outside is called at the end of each tick; whatever comes of it changes nothing."""
from __future__ import annotations

import pytest

from tests.servers.ports import free_port
from tests.servers.web import Web, silent
from tests.support.patience import SOON


def calls(web) -> list[str]:
    """The paths that were called, without their query."""
    return [heard.line.split()[1].partition("?")[0] for heard in web.requests]


@pytest.fixture
def pinged(site, outside):
    """An installation that calls the service at the end of each tick."""
    site.configure("alerts", ping_url=f"http://127.0.0.1:{outside.port}/ping/abc", timeout="1s")
    return site


@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 Oh\r\n\r\n", b"", silent, None])
def test_a_service_that_is_broken_or_down_harms_nothing(pinged, answer):
    pinged.enable("tick_critical")
    with Web(silent if answer is None else answer) as web:
        port = web.port if answer is not None else free_port()
        pinged.configure("alerts", ping_url=f"http://127.0.0.1:{port}/x")
        done = pinged("run-due", now="2026-11-24 14:31:00")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert done.seconds < SOON
    assert pinged.outcomes("tick_critical") == ["ok"]


def test_each_tick_calls_also_with_nothing_due_and_writes_nothing_then(pinged, outside):     # R10
    pinged("run-due")
    before = pinged.db.value("PRAGMA data_version")
    assert pinged("run-due").code == 0
    assert calls(outside) == ["/ping/abc"] * 2
    assert pinged.db.value("PRAGMA data_version") == before


@pytest.mark.parametrize("job, options, bug, code, called", [
    ("fail", {}, None, 1, "/ping/abc"),          # a job's failure is not the tick's
    ("tick_last", {"schedule": "every monday"}, None, 78, "/ping/abc/fail"),
    ("tick_low", {}, "jobs_lib.launch.launch:show=DatabaseError:it is away", 1, "/ping/abc/fail"),
    *((section, {}, None, 78, "/ping/abc/fail") for section in ("core", "tables"))],    # stops all
    ids=["a job fails", "a job cannot be started", "the database goes away between two jobs",
         "a mistake in core", "a mistake in tables"])
def test_how_a_tick_with_problems_calls(pinged, outside, job, options, bug, code, called):
    pinged.enable("tick_critical")
    pinged.enable(job, **options)
    assert pinged("run-due", bug=bug).code == code
    assert pinged.outcomes("tick_critical") == ["ok"] * (job not in ("core", "tables"))
    assert calls(outside) == [called]


def test_a_tick_that_finds_another_at_work_does_not_call(pinged, outside):
    pinged.enable("dig", items="100000", pause="100")
    working = pinged.start("run-due", now="2026-11-24 14:31:00")
    pinged.working("dig")
    assert pinged("run-due").code == 0
    assert calls(outside) == []
    working.kill()
