"""A typo in a retention must not empty a table, and an honest backlog is not stopped.  # R19

How the rule goes, on a plain job; that each job and each of its options keeps to it is in
tests/jobs/test_purges.py.
"""
from __future__ import annotations

import json

import pytest

from jobs_lib.engines import safety_stop
from jobs_lib.engines.rules import Rule, keep, purge
from tests.support.databases import bulk

LOGS = purge(table="message_logs", schedule="0 0 * * *", sample=("id",),
             options={"keep": keep("90d", "How long.")},
             rules=(Rule("created_at"),))._replace(name="purge_logs")


@pytest.fixture
def small(monkeypatch):
    """The rule on ten rows instead of ten thousand; `test_the_numbers...` has the real ones."""
    monkeypatch.setattr(safety_stop, "MOST_ROWS", 10)


def logs(bench, number: int, days: float) -> None:
    bulk(bench.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(1, "forward", "delivered", bench.ago(days=days))] * number)


def known(bench) -> dict:
    """What the last good run had."""
    return json.loads(bench.db.value("SELECT last_options FROM {job_state} "
                                     "WHERE job = 'purge_logs'") or "{}")


def test_a_shorter_limit_that_would_empty_the_table_stops_before_it_deletes(bench, small):     # R19
    logs(bench, 20, days=30)
    bench.run(LOGS)
    assert bench.fails(LOGS, keep="9d") == (
        "20 of 20 rows of message_logs would be deleted: [purge_logs] keep is 9d, it was 90d at "
        "the last good run. Nothing was deleted. If this is intended, run `jobs.py purge_logs "
        "--yes` once, with the same --set if there was one; if not, correct the option")
    assert len(bench.ids("message_logs")) == 20
    assert bench.events("purge_logs")[-2]["event"] == "safety stop"
    assert bench.events("purge_logs")[-2]["level"] == "error"
    assert known(bench) == {"keep": 90 * 86400}


def test_yes_confirms_this_run_and_from_then_on_the_new_limit_is_known(bench, small):      # R19
    logs(bench, 20, days=30)
    bench.run(LOGS)
    assert bench.run(LOGS, keep="9d", yes=True) == {"deleted": 20}
    assert known(bench) == {"keep": 9 * 86400}
    logs(bench, 20, days=30)
    assert bench.run(LOGS, keep="9d") == {"deleted": 20}


def test_yes_holds_for_the_next_runs_when_this_one_cannot_finish(bench, small):
    logs(bench, 2000, days=30)
    bench.run(LOGS)
    assert bench.run(LOGS, keep="9d", yes=True, limit=500) == {"deleted": 500}
    assert bench.run(LOGS, keep="9d") == {"deleted": 1500}


def test_yes_is_for_one_change_only(bench, small):
    logs(bench, 20, days=30)
    bench.run(LOGS)
    bench.run(LOGS, keep="60d", yes=True)
    assert "keep is 9d, it was 60d" in bench.fails(LOGS, keep="9d")


def test_an_honest_backlog_is_not_stopped(bench, small):
    logs(bench, 20, days=30)
    bench.run(LOGS, keep="60d")
    bench.now = bench.ahead(days=60)                # cron stood still for two months
    assert bench.run(LOGS, keep="60d") == {"deleted": 20}


def test_the_first_run_of_all_is_not_stopped(bench, small):
    logs(bench, 20, days=30)
    assert bench.run(LOGS, keep="9d") == {"deleted": 20}


@pytest.mark.parametrize("old, young, stops", [(11, 10, True), (11, 11, False), (10, 0, False)])
def test_both_limits_have_to_be_passed(bench, small, old, young, stops):       # R19
    bench.run(LOGS)
    logs(bench, old, days=30)
    logs(bench, young, days=1)
    status = bench.attempt(LOGS, keep="9d")["status"]
    assert status == ("failed" if stops else "ok")
    assert len(bench.ids("message_logs")) == (old + young if stops else young)


@pytest.mark.parametrize("old, stops", [(10_000, False), (10_001, True)])
def test_the_numbers_are_ten_thousand_rows_and_half_of_the_table(bench, old, stops):       # R19
    bench.run(LOGS)
    logs(bench, old, days=30)
    assert bench.attempt(LOGS, keep="9d")["status"] == ("failed" if stops else "ok")


def test_a_longer_limit_is_known_only_after_a_good_run(bench, small):
    logs(bench, 2000, days=91)
    bench.run(LOGS, limit=5)
    assert known(bench) == {}
    bench.run(LOGS)
    assert known(bench) == {"keep": 90 * 86400}


def test_off_forgets_nothing(bench, small):
    logs(bench, 20, days=30)
    bench.run(LOGS)
    bench.run(LOGS, keep="off")
    assert "it was 90d" in bench.fails(LOGS, keep="9d")


def test_a_dry_run_tells_that_a_run_would_stop(bench, small):
    logs(bench, 20, days=30)
    bench.run(LOGS)
    assert bench.run(LOGS, keep="9d", dry_run=True) == {"deleted": 20}
    assert bench.samples[0]["note"].startswith("a run would stop: 20 of 20 rows of message_logs")
    assert known(bench) == {"keep": 90 * 86400}


def test_other_options_of_the_job_are_kept(bench, small):
    bench.db.insert("job_state", job="purge_logs", last_options='{"other": 5}',
                    due_after=bench.ago(days=1))
    bench.run(LOGS)
    assert known(bench) == {"other": 5, "keep": 90 * 86400}
    assert bench.rows("job_state")[-1]["due_after"] == "2026-11-23 14:30:05"


def test_a_job_first_seen_by_hand_is_not_due_for_the_past(bench, small):
    bench.run(LOGS)
    due_after = bench.db.value("SELECT due_after FROM {job_state} WHERE job = 'purge_logs'")
    assert due_after == "2026-11-24 14:30:05"


def test_an_unchanged_limit_is_not_written_again(bench, small):
    bench.run(LOGS)
    bench.run(LOGS)
    assert not any("last_options" in sql for sql in bench.statements
                   if not sql.startswith("SELECT"))
