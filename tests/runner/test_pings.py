"""A service outside is called at the end of each tick; whatever comes of it, nothing else
changes."""
from __future__ import annotations

import pytest

from tests.servers.ports import free_port
from tests.servers.web import Web, silent
from tests.support.patience import SOON


def url(web, path: str = "/ping/abc") -> str:
    return f"http://127.0.0.1:{web.port}{path}"


def calls(web) -> list[str]:
    """The paths that were called, without their query."""
    return [heard.line.split()[1].partition("?")[0] for heard in web.requests]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 Oh\r\n\r\n", b"", silent, None])
def test_a_service_that_is_broken_or_down_harms_nothing(site, answer):
    site.enable("tick_critical")
    site.configure("alerts", timeout="1s")
    if answer is None:
        site.configure("alerts", ping_url=f"http://127.0.0.1:{free_port()}/x")
        done = site("run-due", now="2026-11-24 14:31:00")
    else:
        with Web(answer) as web:
            site.configure("alerts", ping_url=url(web))
            done = site("run-due", now="2026-11-24 14:31:00")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert done.seconds < SOON
    assert site.outcomes("tick_critical") == ["ok"]

def test_each_tick_calls_also_with_nothing_due_and_writes_nothing_then(site, outside):       # R10
    site("run-due")
    site.configure("alerts", ping_url=url(outside))
    before = site.db.value("PRAGMA data_version")
    assert site("run-due").code == 0
    assert calls(outside) == ["/ping/abc"]
    assert site.db.value("PRAGMA data_version") == before


@pytest.mark.parametrize("changes, how, code, called", [
    ({"fail": {"enabled": "yes"}}, {}, 1, "/ping/abc"),          # a job's failure is not the tick's
    ({"tick_last": {"schedule": "every monday"}}, {}, 78, "/ping/abc/fail"),
    ({}, {"bug": "jobs_lib.launch.launch:show=DatabaseError:it is away"}, 1, "/ping/abc/fail"),
], ids=["a job fails", "a job cannot be started", "the database goes away between two jobs"])
def test_how_a_tick_with_problems_calls(site, outside, changes, how, code, called):
    for section, options in changes.items():
        site.configure(section, **options)
    site.enable("tick_critical", "fail" if "fail" in changes else "tick_low")
    site.configure("alerts", ping_url=url(outside))
    assert site("run-due", **how).code == code
    assert site.outcomes("tick_critical") == ["ok"]
    assert calls(outside) == [called]


def test_a_tick_that_finds_another_at_work_does_not_call(site, outside):
    site.configure("alerts", ping_url=url(outside))
    site.enable("dig", items="100000", pause="100")
    working = site.start("run-due", now="2026-11-24 14:31:00")
    site.working("dig")
    assert site("run-due").code == 0
    assert calls(outside) == []
    working.kill()
