"""How a run ends before its work does: budget, hang, signal."""
from __future__ import annotations

import json
import signal
import time

import pytest

from tests.support.patience import SOON
from tests.support.shell import ended, until

# The budget

def test_a_job_over_its_budget_stops_between_items_and_goes_on(any_site):    # R4
    any_site.configure("dig", budget="2s", pause="200", items="15")
    result = any_site.job("dig")
    assert (result["status"], result["stop_reason"]) == ("partial", "budget")
    assert 2000 <= result["duration_ms"]
    first = any_site.dug()
    assert 0 < first == result["counts"]["dug"] < 15
    while result["status"] == "partial":
        result = any_site.job("dig")
    assert (result["status"], any_site.dug()) == ("ok", 15)
    # a wait ends with it, too
    any_site.configure("dig", budget="1s", pause="60000", wait="yes", items="20")
    result = any_site.job("dig")
    assert (result["status"], result["duration_ms"] < SOON * 1000) == ("partial", True)


# The hard limit

def hung(site, how: str, **limits):
    """Run a job that hangs, with a budget and a grace of two seconds each."""
    site.configure(grace="2s")
    site.configure("hang", budget="2s", how=how)
    return site("hang", **limits)


def assert_timed_out(site, done) -> None:
    assert (done.code, done.out) == (124, "")
    took = done.err.split(" in ")[1].split(" ")[0]
    assert done.err == (f"hang: ended by force in {took} s (ended at the hard limit, 4 seconds "
                        "after its start): 0 of 1 done\n")
    row = site.runs("hang")[-1]
    assert (row["status"], row["stop_reason"]) == ("timeout", "hard limit")
    assert site.events("hang")[-1]["status"] == "timeout"
    assert site.dug() == 0                                                   # rolled back


@pytest.mark.parametrize("engine, how", [
    *(("site", how) for how in ("sleep", "recv", "swallow", "sqlite")), ("maria_site", "mariadb")])
def test_a_hang_is_ended_at_budget_and_grace(request, engine, how):          # R4
    site = request.getfixturevalue(engine)
    done = hung(site, how)
    assert_timed_out(site, done)
    assert 4 <= done.seconds < SOON
    site.configure("hang", how="no")
    site("hang")
    # there is no such way to hang: it ran
    assert site.outcomes("hang") == ["timeout", "failed"]


def test_the_server_does_not_finish_what_the_run_gave_up(maria_site):        # R4
    maria_site.configure("hang", after="no")
    assert hung(maria_site, "mariadb_write").code == 124
    sleeping = ("SELECT COUNT(*) FROM information_schema.processlist"
                " WHERE info LIKE '%SLEEP(60)%' AND id <> CONNECTION_ID()")
    until(lambda: maria_site.db.value(sleeping) == 0, 30)
    assert maria_site.dug() == 0


def test_code_that_hears_no_signal_is_ended_too(site):         # R4, R2
    """By the time of the processor that it uses up, also where the run has only waited before."""
    site.configure("hang", waits="3")
    done = hung(site, "code_that_holds_all", timeout=200,
                small="jobs_lib.runner.limits:LAST_RESORT_SECONDS=3")
    assert (done.code, done.err) == (-signal.SIGPROF, "")
    assert 4 + 3 <= done.seconds < 200
    assert site.dug() == 0
    site.configure("hang", how="no")
    site("hang")
    assert site.outcomes("hang")[0] == "vanished"


# Signals

@pytest.mark.parametrize("number", [
    pytest.param(signal.SIGTERM, marks=pytest.mark.quick), signal.SIGINT, signal.SIGHUP],
    ids=lambda number: number.name)
def test_a_signal_ends_the_run_after_the_item_in_hand(site, number):         # R5
    worker = site.start("dig", "--set", "items=1000", "--set", "pause=200", "--json")
    until(lambda: site.dug() >= 2)
    sent = time.monotonic()
    worker.send_signal(number)
    done = ended(worker, sent)
    assert done.code == 143
    assert done.seconds < SOON
    row, = site.runs("dig")
    assert (row["status"], row["stop_reason"]) == ("interrupted", number.name)
    assert json.loads(row["counts"])["dug"] == site.dug()                    # nothing is lost
    assert site.job("dig", "--set", f"items={site.dug() + 1}")["counts"] == {"dug": 1}


def test_a_waiting_job_hears_the_signal(site):                               # R5
    worker = site.start("dig", "--set", "pause=60000", "--set", "wait=yes", "--json")
    site.working("dig")
    sent = time.monotonic()
    worker.terminate()
    done = ended(worker, sent)
    assert (done.code, done.seconds < SOON) == (143, True)


def test_a_signal_that_was_ignored_stays_ignored(site):
    """nohup, and a background job of a shell script."""
    worker = site.start("dig", "--set", "items=5", "--set", "pause=200", "--json",
                        before=["nohup"])
    site.working("dig")
    worker.send_signal(signal.SIGHUP)
    assert ended(worker, 0).code == 0
    assert site.dug() == 5


@pytest.mark.parametrize("point", ["jobs_lib.runner.locks:FileLock.acquire",
                                   "jobs_lib.runner.history:begin",
                                   "jobs_lib.runner.history:finish"])
def test_a_signal_at_any_point_of_the_frame_is_no_crash(site, point):        # R5
    result = site("dig", "--json", terminate=f"{point}:before")
    assert result.code in (0, 143)
    assert json.loads(result.out)["status"] in ("ok", "interrupted")
    assert "running" not in site.outcomes("dig")
    assert "Traceback" not in result.err
