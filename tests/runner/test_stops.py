"""How a run ends before its work does: its budget, a signal."""
from __future__ import annotations

import json
import signal
import time

import pytest

from tests.support.patience import SOON
from tests.support.shell import ended, until


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
    worker = site.start("dig", "--set", "items=5", "--set", "pause=200", "--json", before=["nohup"])
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
