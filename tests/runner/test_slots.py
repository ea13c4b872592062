"""One slot is started at most once: two crontabs, two hosts, a clock set back, days on which the
clock changes."""
from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.shell import ended, utc

NOW = "2026-11-24 14:31:00"


def slots(site, job: str) -> list:
    """The slots that were started, oldest first."""
    return [row["slot"] for row in site.runs(job) if row["slot"] is not None]


@pytest.mark.parametrize("where, lock", [
    pytest.param("site", "file", marks=pytest.mark.quick), ("maria_site", "file"),
    ("hosts", "file"), ("hosts", "database")])
def test_two_crontabs_and_two_hosts_start_a_slot_once(request, where, lock):         # R6
    made = request.getfixturevalue(where)
    hosts = made if where == "hosts" else [made]
    for host in hosts:
        host.configure(lock=lock)
        host.enable("tick_normal", "tick_low")
    processes = [host.start(*words, now=NOW) for host in hosts for _ in range(3)
                 for words in (["tick_normal", "--scheduled"], ["run-due"])]
    assert {tuple(ended(process, 0)) for process in processes} == {(0, "", "")}
    for job in ("tick_normal", "tick_low"):
        assert slots(hosts[0], job) == ["2026-11-24 14:30:00"]
        assert hosts[0].outcomes(job).count("ok") == 1


@pytest.mark.quick
def test_a_second_start_of_a_done_slot_writes_nothing(site):                 # R6
    site.enable("tick_normal")
    site("tick_normal", "--scheduled", now=NOW)
    before = (site.runs(), site.events("tick_normal"))
    for words in ((), ("--fail-if-locked",)):           # which is not about done slots
        assert site("tick_normal", "--scheduled", *words, now="2026-11-24 14:34:50") == (0, "", "")
    answer = site.json("tick_normal", "--scheduled", now="2026-11-24 14:34:50")
    assert answer["status"] == "skipped"
    assert (site.runs(), site.events("tick_normal")) == before


def test_a_clock_set_back_starts_nothing_again(site, ticks):                 # R6
    site.enable("tick_normal")
    for minute in range(0, 60, 5):
        ticks.at(utc("2026-11-24 14:00") + timedelta(minutes=minute))
    assert len(slots(site, "tick_normal")) == 12
    for minute in range(0, 60, 5):
        assert ticks.at(utc("2026-11-24 14:01") + timedelta(minutes=minute)) == []
    assert ticks.at("2026-11-24 15:00") == [("tick_normal", "ok", "2026-11-24 15:00")]


def test_the_line_of_a_job_carries_on_what_is_unfinished(site):              # R4
    site.enable("dig", items="3")
    site.began("dig", utc("2026-11-24 14:30"), "partial")
    assert site("dig", "--scheduled", now=NOW).code == 0
    assert site.runs("dig")[-1]["trigger_type"] == "continue"
    assert slots(site, "dig") == ["2026-11-24 14:30:00"]


@pytest.mark.parametrize("line", ["dig --scheduled", "run-due"])
@pytest.mark.parametrize("schedule, before, at, slot", [
    ("*/5 * * * *", "24 14:34:00", "24 14:35:30", "24 14:35:00"),
    ("10 3 * * *", "24 14:34:00", "25 03:10:02", "25 03:10:00")])
def test_a_job_that_is_enabled_begins_with_its_next_time(site, line, schedule, before, at, slot):
    """R7: its last time was before it was switched on."""
    site.enable("dig", schedule=schedule)
    for enabled, moment, runs in (("no", "24 14:31:00", []), ("yes", before, []),
                                  ("yes", at, [f"2026-11-{slot}"])):
        site.configure("dig", enabled=enabled)
        assert site(*line.split(), now=f"2026-11-{moment}") == (0, "", "")
        assert slots(site, "dig") == runs


@pytest.mark.parametrize("day, expected", [
    # Berlin, 29 March 2026: 02:00 becomes 03:00, so 02:30 does not exist: due at 03:00, which is
    # 01:00 UTC.
    ("2026-03-28 12:00", ["2026-03-29 01:00", "2026-03-30 00:30"]),
    # 25 October 2026: 03:00 becomes 02:00, so 02:30 comes twice: the first is 00:30 UTC.
    ("2026-10-24 12:00", ["2026-10-25 00:30", "2026-10-26 01:30"])])
@pytest.mark.parametrize("step", [5, 15])    # R8
def test_a_fixed_time_runs_once_on_days_of_a_change(site, ticks, day, expected, step):
    site.configure(timezone="Europe/Berlin")
    site.enable("tick_normal", schedule="30 2 * * *", since=utc(day))
    ran = [slot for minute in range(0, 48 * 60, step)
           for _, _, slot in ticks.at(utc(day) + timedelta(minutes=minute))]
    assert ran == expected
