"""`run-due`: what is due, in which order, within one budget; what is missed, carried on, tried
again, paused."""
from __future__ import annotations

import json
import os
import signal
from datetime import timedelta

import pytest

from tests.support.patience import SOON
from tests.support.shell import ended, killed, until, utc

ALL = ("tick_critical", "tick_high", "tick_normal", "tick_low")
DAY = timedelta(days=1)


@pytest.mark.parametrize("step", [5, 15, 60])
def test_a_rare_cron_runs_what_was_missed_for_days_once_and_minutes_it_never_hits(
        site, ticks, step):          # R7
    site.enable("tick_normal", schedule="17 3 * * *")
    site.began("tick_normal", utc("2026-11-20 03:17"))
    ran = [run for minute in range(0, 24 * 60, step)
           for run in ticks.at(utc("2026-11-24 00:00") + timedelta(minutes=minute))]
    assert ran == [("tick_normal", "ok", "2026-11-23 03:17"),
                   ("tick_normal", "ok", "2026-11-24 03:17")]


@pytest.mark.parametrize("status", ["partial", "timeout", "interrupted", "vanished"])
def test_an_unfinished_slot_is_carried_on_in_the_next_ticks(site, ticks, status):            # R4
    site.enable("tick_normal", schedule="17 3 * * *")
    site.began("tick_normal", utc("2026-11-24 03:17"), status)
    assert ticks.at("2026-11-24 03:20") == [("tick_normal", "ok", None)]
    assert site.runs("tick_normal")[-1]["trigger_type"] == "continue"
    assert ticks.at("2026-11-24 03:25") == []


def test_a_failed_slot_is_tried_twice_more_after_15_minutes_and_an_hour(site, ticks):
    site.enable("fail", schedule="17 3 * * *")
    begin = utc("2026-11-24 03:17")
    ran = [(minute, run) for minute in range(600)
           for run in ticks.at(begin + timedelta(minutes=minute))]
    assert ran == [(0, ("fail", "failed", "2026-11-24 03:17")), (15, ("fail", "failed", None)),
                   (75, ("fail", "failed", None))]
    assert ticks.at(begin + DAY) == [("fail", "failed", "2026-11-25 03:17")]


def test_the_most_critical_goes_first_then_the_latest_and_check_jobs_last(site, ticks):  # R7, R9
    """What is over an hour late goes ahead of all others; `tick_last` is declared as check_jobs."""
    site.enable(*ALL, "tick_last", since=utc("2026-11-24 14:25"))
    site.enable("tick_normal", "dig")
    site.enable("fail", how="no")
    site.known("tick_low", "tick_last", since=utc("2026-11-20 14:25"))
    for job, last in (("tick_last", "20 14:30"), ("dig", "24 14:20"), ("tick_normal", "24 14:10"),
                      ("fail", "24 14:15")):
        site.began(job, utc(f"2026-11-{last}"))
    assert ticks.names("2026-11-24 14:31") == ["tick_low", "tick_critical", "tick_high",
                                               "tick_normal", "fail", "dig", "tick_last"]


@pytest.mark.parametrize("budget, step", [(20, 5), (60, 5), (240, 60)])
@pytest.mark.parametrize("greedy", [1, 3, 5])
def test_with_more_work_than_time_each_job_gets_its_turn(site, ticks, budget, step, greedy):
    """R9: the first ones would take the whole of each tick, every time."""
    names = ["tick_critical", "tick_high", "tick_normal", "tick_low", "dig"]
    site.enable(*names[:4], takes="1")
    for name in names[:greedy]:
        site.configure(name, **({"wait": "yes", "pause": "1000", "items": "100000"} if name == "dig"
                                else {"takes": "1000"}))
    site.enable("dig")
    begin, had = utc("2026-11-24 00:00"), []
    for number in range(54):
        before = ticks.seconds
        had.append(ticks.names(begin + timedelta(minutes=step * number), budget=budget))
        assert ticks.seconds - before <= budget + 2
    for first in range(54 - 27):
        assert {*names} == {name for tick in had[first:first + 27] for name in tick}, had


@pytest.mark.parametrize("status", ["timeout", "vanished"])
def test_a_job_that_hung_or_died_goes_last_once(site, ticks, status):               # R9
    site.enable(*ALL, since=utc("2026-11-24 14:20"))
    site.began("tick_critical", utc("2026-11-24 14:25"), status)
    assert ticks.names("2026-11-24 14:31") == ["tick_high", "tick_normal", "tick_low",
                                               "tick_critical"]
    assert ticks.names("2026-11-24 14:36") == list(ALL)


def test_one_budget_serves_all(site, ticks):                                 # R9
    site.enable(*ALL, takes="100", since=utc("2026-11-24 14:25"))
    ran = ticks.at("2026-11-24 14:31", budget=240)
    assert [(job, status) for job, status, _ in ran] == [
        ("tick_critical", "ok"), ("tick_high", "partial"), ("tick_normal", "partial")]
    # what is left is too little for one that nothing is known of
    assert ticks.seconds - 1000 == 100 + 70 + 50


def test_a_job_is_not_begun_with_less_than_it_usually_takes(site, ticks):    # R9
    site.enable("tick_critical", takes="225")
    site.enable("tick_high", takes="25")                                     # more than usual
    site.enable("tick_normal", takes="20")
    for job, usual in (("tick_high", 10_000), ("tick_normal", 20_000)):
        for day in range(1, 4):
            site.began(job, utc("2026-11-24 14:30") - day * DAY, duration_ms=usual)
    site.known(*ALL, since=utc("2026-11-24 14:25"))                          # nobody is late
    assert ticks.names("2026-11-24 14:31") == ["tick_critical", "tick_high"]


def test_the_budget_of_a_tick_is_an_option(site):
    site.enable("tick_critical", takes="60")
    done = site("run-due", "--budget", "1s", "--json")
    assert done.code == 0
    result, = json.loads(done.out)
    assert (result["status"], result["stop_reason"]) == ("partial", "budget")
    assert done.seconds < SOON


def test_a_failing_job_stops_no_other(site, ticks):                          # R9
    site.enable(*ALL)
    site.enable("fail", how="defect")
    ran = {job: status for job, status, _ in ticks.at("2026-11-24 14:31")}
    assert ran == {**dict.fromkeys(ALL, "ok"), "fail": "failed"}
    assert ticks.code == 1
    assert len(ticks.said) == 1
    assert ticks.said[0].startswith("fail: failed: ZeroDivisionError")


def test_a_broken_section_of_one_job_stops_no_other_and_is_said_once_a_day(site, ticks):  # R9, R69
    """And when it changes: cron mails what is printed, and comes every minute."""
    site.enable(*ALL)
    site.configure("tick_critical", takes="for ever")
    assert ticks.names("2026-11-24 14:31") == list(ALL[1:])
    assert "[tick_critical] takes = 'for ever'" in ticks.said[0]

    def printed(moment: str) -> int:
        ticks.said = []
        ticks.at(moment)
        return len(ticks.said)
    assert (printed("2026-11-24 14:32"), ticks.code) == (0, 78)
    site.configure("tick_high", budget="no end", schedule="never")
    assert [printed(f"2026-11-{moment}") for moment in ("24 14:33", "24 14:34", "25 14:36")] == [
        2, 0, 3]
    site.configure("tick_high", budget=None, schedule=None)
    site.configure("tick_critical", takes=None)
    assert (printed("2026-11-25 14:37"), ticks.code) == (0, 0)
    site.configure("tick_critical", takes="no end")
    assert printed("2026-11-25 14:38") == 1


def test_a_job_that_dies_with_the_process_leaves_the_others_to_the_next_tick(site):    # R2, R9
    site.enable(*ALL)
    killed = site("run-due", now="2026-11-24 14:31:00",
                      kill="jobs_lib.runner.history:finish:before:2")
    assert killed.code == -9
    assert site("run-due", now="2026-11-24 14:32:00").code == 0
    assert {job: site.outcomes(job) for job in ALL} == {
        "tick_critical": ["ok"], "tick_high": ["vanished", "ok"], "tick_normal": ["ok"],
        "tick_low": ["ok"]}
    assert [row["job"] for row in site.runs() if row["trigger_type"] == "continue"] == ["tick_high"]


@pytest.mark.parametrize("point, code", [
    ("launch.order:share:before:2", -signal.SIGTERM), ("runner.history:finish:after", 143)])
def test_a_signal_that_is_too_late_for_a_job_ends_the_tick(site, point, code):           # R5
    site.enable("tick_critical", "tick_high")
    assert site("run-due", terminate=f"jobs_lib.{point}").code == code
    assert site.outcomes() == ["ok"]


def test_a_signal_in_a_job_ends_the_tick_after_its_item(site):               # R5
    site.enable("dig", items="100000", pause="100")
    site.enable("tick_low")
    worker = site.start("run-due", now="2026-11-24 14:31:00")
    until(lambda: site.dug() >= 1)
    worker.terminate()
    assert ended(worker, 0).code == 143
    assert [(row["job"], row["status"]) for row in site.runs()] == [("dig", "interrupted")]
    site.configure("dig", items="1")
    assert site("run-due", now="2026-11-24 14:32:00").code == 0
    assert site.runs("dig")[-1]["trigger_type"] == "continue"


def test_a_job_locked_by_hand_stays_due(site, ticks):                        # R1, R6
    site.enable("dig")
    worker = site.digging()
    assert ticks.at("2026-11-24 14:31") == [("dig", "skipped", "2026-11-24 14:30")]
    killed(worker)
    site.configure("dig", items="1")
    assert ticks.at("2026-11-24 14:32") == [("dig", "ok", "2026-11-24 14:30")]


def written(folder) -> dict:
    """Every file below the folder, with its time of change; what SQLite shares between processes
    left out."""
    return {os.path.join(place, name): os.stat(os.path.join(place, name)).st_mtime_ns
            for place, _, files in os.walk(folder) for name in files
            if not name.endswith(("-shm", "-wal")) and name != "run-due.lock"}


def test_an_idle_tick_writes_nothing(any_site, request):       # R10
    """Every job has had its slot, one is off, one paused."""
    site = any_site
    site.enable(*ALL, "dig")
    site.configure("dig", enabled="no")
    site.known("tick_low", paused_at=utc("2026-11-20 10:00"))
    assert site("run-due", now="2026-11-24 14:31:00").code == 0
    assert site.outcomes() == ["ok"] * 3

    def writes():
        """What tells of each write."""
        if site.url.startswith("sqlite"):
            return site.db.value("PRAGMA data_version")
        return request.getfixturevalue("mariadb").root(
            "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_insert', 'Com_update', 'Com_delete', "
            "'Com_replace', 'Innodb_rows_inserted', 'Innodb_rows_updated', 'Innodb_rows_deleted', "
            "'Com_begin')")
    before = written(site.folder.parent), writes()
    done = site("run-due", now="2026-11-24 14:32:00")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (written(site.folder.parent), writes()) == before
    # as a tick does that has work to do
    assert site("run-due", now="2026-11-24 14:36:00").code == 0
    assert writes() != before[1]
