"""One run: its row, its log lines, its outcome, what is said."""
from __future__ import annotations

import json

import pytest

from tests.support.shell import utc


def test_a_run_is_a_row_and_two_log_lines(any_site):                         # R61
    result = any_site.job("dig", "--set", "items=3")
    assert (result["status"], result["counts"], result["slot"]) == ("ok", {"dug": 3}, None)
    row, = any_site.runs("dig")
    assert (row["run_id"], row["status"], row["trigger_type"]) == (result["run_id"], "ok", "manual")
    assert json.loads(row["counts"]) == {"dug": 3}
    assert row["finished_at"] >= row["started_at"]
    started, ended = any_site.events("dig")
    assert (started["event"], ended["event"], ended["level"]) == ("run started", "run ended",
                                                                  "info")
    assert {key: ended[key] for key in result if key != "dry_run"} == {
        key: result[key] for key in result if key != "dry_run"}


def test_a_second_run_finds_the_work_done(any_site):                         # R12
    assert any_site.job("dig")["counts"] == {"dug": 3}
    assert any_site.job("dig")["counts"] == {"dug": 0}
    assert any_site.dug() == 3


def test_a_good_run_prints_nothing(site):
    done = site("dig")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_v_says_what_was_done(site):
    assert "3 dug" in site("dig", "-v").out


@pytest.mark.parametrize("how, said", [
    ("error", "the well is dry: dig deeper"),
    ("defect", "ZeroDivisionError: division by zero (fail.py line "),
    ("exit", "SystemExit: a library gave up (fail.py line "),
])
def test_a_failure_is_one_line_and_exit_1(site, how, said):
    done = site("fail", "--set", f"how={how}")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"fail: failed: {said}")
    assert done.err.count("\n") == 1
    row, = site.runs("fail")
    assert row["status"] == "failed"
    assert row["error"].startswith(said)
    assert json.loads(row["counts"]) == {"done": 2, "total": 5}              # as far as it came


def test_a_defect_leaves_its_traceback_in_the_log_alone(site):
    done = site("fail", "--set", "how=defect")
    assert "Traceback" not in done.err
    exception = next(event for event in site.events("fail") if event["event"] == "exception")
    assert "ZeroDivisionError" in exception["traceback"]


def test_a_busy_database_stops_the_run_and_is_no_failure(site):              # R16
    result = site.job("fail", "--set", "how=busy")
    assert (result["status"], result["stop_reason"]) == ("partial", "busy")


@pytest.mark.slow
def test_a_run_that_cannot_begin_for_another_writer_is_skipped_quietly(site):        # R16
    with site.db.transaction():
        site.db.upsert("meta", {"name": "writer"}, {"value": "here"})
        done = site("dig")
    assert (done.code, done.out) == (0, "")
    assert site.events("dig")[-1]["event"] == "run skipped"
    assert "was writing" in site.events("dig")[-1]["reason"]
    assert site.runs("dig") == []


def test_quiet_says_not_even_why(site):
    done = site("fail", "-q")
    assert (done.code, done.out, done.err) == (1, "", "")


def test_a_dry_run_leaves_no_trace(site):                                    # R11
    result = site.job("dig", "--dry-run")
    assert (result["dry_run"], result["counts"]) == (True, {"dug": 3})
    assert (site.runs(), site.dug()) == ([], 0)
    assert not (site.folder / "log").exists()
    assert not (site.folder / "state").exists()


def test_a_dry_run_does_not_wait_for_the_lock(site):
    worker = site.start("dig", "--set", "items=100000", "--set", "pause=100")
    site.working("dig")
    assert site.job("dig", "--dry-run")["status"] == "ok"
    worker.kill()
    worker.communicate()


def test_broken_options_are_reported_before_anything_is_touched(site):
    site.configure("dig", items="many", pause="-1")
    done = site("dig")
    assert done.code == 78
    assert "[dig] items = 'many'" in done.err
    assert "[dig] pause = '-1'" in done.err
    assert not (site.folder / "state").exists()


def test_one_jobs_mistake_does_not_stop_another_by_hand(site):
    site.configure("fail", schedule="never")
    assert site("dig").code == 0


def test_the_slot_of_a_scheduled_run_is_the_latest(site):
    site.configure("dig", enabled="yes")
    site.known("dig")
    result = site.job("dig", "--scheduled", now="2026-11-24 14:32:10")
    assert result["slot"] == "2026-11-24 14:30:00"
    row, = site.runs("dig")
    assert (utc(row["slot"]), row["trigger_type"]) == (utc("2026-11-24 14:30"), "scheduled")
