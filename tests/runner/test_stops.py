"""How a run ends before its work does: its budget, a signal."""
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


@pytest.mark.parametrize("number, pause, wait", [
    pytest.param(signal.SIGTERM, 200, "no", marks=pytest.mark.quick), (signal.SIGINT, 200, "no"),
    (signal.SIGHUP, 200, "no"), (signal.SIGTERM, 60_000, "yes")])        # a waiting job hears it
def test_a_signal_ends_the_run_after_the_item_in_hand(site, number, pause, wait):         # R5
    worker = site.digging("--set", f"wait={wait}", "--json", pause=pause)
    until(lambda: site.dug() >= 1 or wait == "yes")
    sent = time.monotonic()
    worker.send_signal(number)
    done = ended(worker, sent)
    assert (done.code, done.seconds < SOON) == (143, True)
    row, = site.runs("dig")
    assert (row["status"], row["stop_reason"]) == ("interrupted", number.name)
    assert json.loads(row["counts"])["dug"] == site.dug()                    # nothing is lost
    assert site.job("dig", "--set", f"items={site.dug() + 1}")["counts"] == {"dug": 1}


def test_a_signal_that_was_ignored_stays_ignored(site):
    """nohup, and a background job of a shell script."""
    worker = site.start("dig", "--set", "items=5", "--set", "pause=200", "--json", before=["nohup"])
    site.working("dig")
    worker.send_signal(signal.SIGHUP)
    assert (ended(worker, 0).code, site.dug()) == (0, 5)


@pytest.mark.parametrize("job, point, status", [
    ("dig", "locks:FileLock.acquire", "interrupted"), ("dig", "history:begin", "interrupted"),
    ("dig", "history:finish", "ok"), ("fail", "history:finish", "failed")])  # as it is stored
def test_a_signal_at_any_point_of_the_frame_is_no_crash(site, job, point, status):         # R5
    result = site(job, "--json", terminate=f"jobs_lib.runner.{point}:before")
    assert (result.code, json.loads(result.out)["status"]) == (143, status)
    assert site.outcomes(job) == [status]
    assert "Traceback" not in result.err
