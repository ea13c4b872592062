"""One run: its row, its log lines, its outcome, what is said."""
from __future__ import annotations

import json

import pytest


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
    exceptions = [event for event in site.events("fail") if event["event"] == "exception"]
    assert ["Traceback" in event["traceback"] for event in exceptions] == [True] * (how != "error")
    assert site("fail", "-q", "--set", f"how={how}")[:3] == (1, "", "")


def test_a_busy_database_stops_the_run_and_is_no_failure(site):              # R16
    result = site.job("fail", "--set", "how=busy")
    assert (result["status"], result["stop_reason"]) == ("partial", "busy")


def test_a_run_that_cannot_begin_for_another_writer_is_skipped_quietly(site):        # R16
    with site.db.transaction():
        site.db.upsert("meta", {"name": "writer"}, {"value": "here"})
        done = site("dig")
    assert (done.code, done.out) == (0, "")
    assert site.events("dig")[-1]["event"] == "run skipped"
    assert "was writing" in site.events("dig")[-1]["reason"]
    assert site.runs("dig") == []
