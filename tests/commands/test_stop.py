"""`stop`: a run at work ends after the item in hand, here or on another host.  # R77"""
from __future__ import annotations

import signal
import time

import pytest

from jobs_lib.job import declare
from jobs_lib.runner import history
from tests.support.shell import Shell, ended, until


@pytest.fixture
def site(tmp_path, engine_url):
    made = Shell.with_odd_jobs(tmp_path / "one", engine_url)
    made.configure("dig", pause="300", items="100")
    yield made
    made.close()


def dug(site) -> int:
    return site.db.value("SELECT COUNT(*) AS number FROM {usage_events}")


def digging(site, *words: str):
    """A run of `dig` that has done an item."""
    process = site.start("dig", *words)
    until(lambda: dug(site) > 0)
    return process


def test_a_run_ends_after_the_item_in_hand(site):               # R77
    process = digging(site)
    out = site.run("stop", "dig")
    done = ended(process, time.monotonic())
    assert done.code == 143
    row = site.db.row("SELECT status, stop_reason, counts FROM {job_runs}")
    assert (row["status"], row["stop_reason"]) == ("interrupted", "asked to stop")
    assert row["counts"] == f'{{"dug": {dug(site)}}}'
    assert 0 < dug(site) < 100
    assert out.startswith("dig was stopped after ")
    assert "Nothing that waits is lost" in out
    assert "`jobs.py pause dig`" in out


def test_from_another_host(site, tmp_path):                     # R77
    other = Shell.with_odd_jobs(tmp_path / "two", site.url)
    process = digging(site)
    assert other.json("stop", "dig")["runs"][0]["status"] == "interrupted"
    assert ended(process, time.monotonic()).code == 143
    other.close()


def test_it_need_not_wait_for_the_end(site):
    process = digging(site)
    process.send_signal(signal.SIGSTOP)             # as in a long item
    out = site.run("stop", "dig", "--wait", "off")
    assert out.startswith("dig is asked to stop: ")
    assert "after the item in hand" in out
    assert site.run("stop", "dig", "--wait", "off").startswith("dig was asked to stop already")
    process.send_signal(signal.SIGCONT)
    assert ended(process, time.monotonic()).code == 143


def test_a_tick_goes_on_with_the_other_jobs_and_ends_well(site):    # R77
    for name in ("dig", "tick_low"):
        site.configure(name, enabled="yes", schedule="* * * * *")
    site.run("run-due")
    site.db.execute("UPDATE {job_state} SET due_after = NULL")
    process = site.start("run-due")
    until(lambda: dug(site) > 0)
    site.run("stop", "dig")
    done = ended(process, time.monotonic())
    assert (done.code, done.err) == (0, "")
    assert {row["job"]: row["status"] for row in site.db.query(
        "SELECT job, status FROM {job_runs}")} == {"dig": "interrupted", "tick_low": "ok"}


def test_without_a_run_at_work_it_says_so(site):
    assert site.run("stop", "dig") == "No run of dig is at work; nothing was changed.\n"
    assert site.json("stop", "dig") == {"job": "dig", "paused": False, "runs": []}


def test_a_dead_run_needs_no_stop(site):
    process = digging(site)
    process.kill()
    process.wait()
    out = site.run("stop", "dig")
    assert out.startswith("The process of this run of dig has ended already: ")
    assert site.db.value("SELECT stop_reason FROM {job_runs}") is None


def test_wrong_words_get_a_sentence(site):
    for words in (("stop",), ("stop", "digg"), ("stop", "dig", "--wait", "soon"),
                  ("stop", "mail")):
        done = site(*words)
        assert (done.code, done.err.count("\n"), done.out) == (2, 1, "")


# How the run hears it

def job_of(work):
    return declare(schedule="@daily", idempotency="Counts.")(work)._replace(name="purge_everything")


def test_a_run_that_nobody_stops_pays_one_statement_in_two_seconds(bench):     # R77
    def work(ctx):
        for _ in range(1000):
            assert not ctx.should_stop()
            bench.clock.seconds += 0.01
    bench.run(job_of(work))
    beats = [sql for sql in bench.statements if "heartbeat_at = :now" in sql]
    assert len(beats) == 4                      # in ten seconds
    assert not [sql for sql in bench.statements if "stop_reason FROM" in sql]


def test_a_job_that_reports_no_progress_hears_it_too(bench):
    def work(ctx):
        history.ask_to_stop(bench.db, ctx.run_id)
        assert not ctx.should_stop()
        bench.clock.seconds += 2
        assert ctx.should_stop()
    result = bench.attempt(job_of(work))
    assert (result["status"], result["stop_reason"]) == ("interrupted", "asked to stop")


def test_a_wait_hears_it(bench):
    def work(ctx):
        history.ask_to_stop(bench.db, ctx.run_id)
        before = bench.clock.seconds
        ctx.sleep(100)
        assert bench.clock.seconds - before < 4
    assert bench.attempt(job_of(work))["status"] == "interrupted"


def test_an_open_transaction_is_left_alone(bench):
    def work(ctx):
        with ctx.db.transaction():
            bench.clock.seconds += 5
            number = len(bench.statements)
            ctx.should_stop()
            assert len(bench.statements) == number
    bench.run(job_of(work))


def test_a_row_that_is_missing_stops_nobody(bench):
    def work(ctx):
        bench.db.execute("DELETE FROM {job_runs}")
        bench.clock.seconds += 5
        assert not ctx.should_stop()
    bench.run(job_of(work))


def test_a_run_that_was_done_first_keeps_its_outcome(bench):
    def work(ctx):
        history.ask_to_stop(bench.db, ctx.run_id)
    result = bench.attempt(job_of(work))
    assert (result["status"], result["stop_reason"]) == ("ok", None)
    assert bench.db.value("SELECT stop_reason FROM {job_runs}") is None


def test_a_dry_run_asks_nothing(bench):
    def work(ctx):
        bench.clock.seconds += 5
        ctx.should_stop()
    bench.attempt(job_of(work), dry_run=True)
    assert bench.result["status"] == "ok"
