"""One run: its row, its log lines, what it counts, which follows its transactions, and errors that
nobody expects, which are seen."""
from __future__ import annotations

import json
from contextlib import suppress

import pytest

from tests.support.product import Conflict, JobsError, Stopped, declare

NAME = "purge_everything"


def made(work):
    """The function as a job."""
    return declare(schedule="0 0 * * *")(work)._replace(name=NAME)


def said(bench, event: str = "done") -> int:
    """How many such lines the log has."""
    return [line["event"] for line in bench.events(NAME)].count(event)


def test_a_run_is_a_row_and_two_log_lines(any_site):                         # R61
    result = any_site.job("dig", "--set", "items=3")
    assert (result["status"], result["counts"], result["slot"]) == ("ok", {"dug": 3}, None)
    row, = any_site.runs("dig")
    assert (row["run_id"], row["status"], row["trigger_type"]) == (result["run_id"], "ok", "manual")
    assert json.loads(row["counts"]) == {"dug": 3}
    started, ended = any_site.events("dig")
    assert (started["event"], ended["event"], ended["level"]) == ("run started", "run ended",
                                                                  "info")
    assert {key: ended[key] for key in result if key != "dry_run"} == {
        key: result[key] for key in result if key != "dry_run"}


@pytest.mark.parametrize("how, said", [
    ("error", "the well is dry: dig deeper"),
    ("defect", "ZeroDivisionError: division by zero (fail.py line "),
    ("exit", "SystemExit: a library gave up (fail.py line ")])
def test_a_failure_is_one_line_and_exit_1(site, how, said):
    done = site("fail", "--set", f"how={how}")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith(f"fail: failed: {said}")
    row, = site.runs("fail")
    assert (row["status"], row["error"].startswith(said)) == ("failed", True)
    assert json.loads(row["counts"]) == {"done": 2, "total": 5}              # as far as it came
    exceptions = [event for event in site.events("fail") if event["event"] == "exception"]
    assert ["Traceback" in event["traceback"] for event in exceptions] == [True] * (how != "error")
    assert site("fail", "-q", "--set", f"how={how}")[:3] == (1, "", "")


def test_a_busy_database_stops_the_run_and_is_no_failure(site):              # R16
    result = site.job("fail", "--set", "how=busy")
    assert (result["status"], result["stop_reason"]) == ("partial", "busy")


def test_how_a_run_ended_is_stored_once_another_writer_is_done(bench):         # R16
    def work(ctx):
        def busy(*_, **__):
            ctx.db.execute = execute
            raise Conflict("a lock wait")
        execute, ctx.db.execute = ctx.db.execute, busy
        return {"done": 1}
    assert bench.run(made(work)) == {"done": 1}
    assert [row["status"] for row in bench.rows("job_runs")] == ["ok"]


def test_a_run_that_cannot_begin_for_another_writer_is_reported_to_a_person_alone(site):     # R16
    site.enable("dig")
    with site.db.transaction():
        site.db.upsert("meta", {"name": "writer"}, {"value": "here"})
        done, by_cron = site("dig"), site("dig", "--scheduled")
    assert (done.code, done.err.count("\n"), site.runs("dig")) == (1, 1, [])
    assert "was writing" in done.err
    assert by_cron[:3] == (0, "", "")
    assert ["was writing" in event["error"] for event in site.events("dig")
            if event["event"] == "run not started"] == [True, True]


def test_a_batch_that_is_tried_again_counts_and_logs_once(bench):               # R73
    tries = []

    def job(ctx):
        ctx.counts["before"] = 1

        def work():
            tries.append(1)
            ctx.count("rows", 2)
            ctx.log.event("done")
            if len(tries) < 3:
                raise Conflict("rows changed while they were counted")
        ctx.db.batch(work)
        return ctx.counts
    assert bench.run(made(job)) == {"before": 1, "rows": 2}
    assert (len(tries), said(bench)) == (3, 1)


@pytest.mark.parametrize("error", [None, JobsError("the well is dry"), ZeroDivisionError(),
                                   Stopped("hard limit")], ids=lambda error: type(error).__name__)
def test_what_is_rolled_back_was_not_counted_and_the_rest_stays(bench, error):         # R73
    def job(ctx):
        with ctx.db.transaction():
            ctx.count("stored")
            ctx.log.event("done")
        with suppress(KeyError), ctx.db.transaction():
            ctx.count("stored")
            ctx.counts["lost"] = 7
            ctx.log.event("done")
            raise error or KeyError("of the work")
        # a signal between `with` and its block leaves it so
        ctx.db.transaction().__enter__()
        ctx.count("stored")
        ctx.db.invalidate()
        ctx.log.event("after")
        return ctx.counts
    assert bench.attempt(made(job))["counts"] == {"stored": 1}
    assert json.loads(bench.rows("job_runs")[-1]["counts"]) == {"stored": 1}
    assert (said(bench), said(bench, "after")) == (1, not error)


def test_an_unexpected_error_of_one_item_fails_the_run_after_the_others_were_worked(bench):    # R73
    """It is seen though its transaction is rolled back, and once if that is tried again."""
    errors = [Conflict("again"), ValueError("given up")]

    def job(ctx):
        ctx.count("done")
        ctx.defect(TypeError("no number"), "forward 7")

        def work():
            ctx.count("done")
            ctx.defect(TypeError(), "domain 8")
            raise errors.pop(0)
        with pytest.raises(ValueError):
            ctx.db.batch(work)
        ctx.count("done")
        return ctx.counts
    error = bench.fails(made(job))
    assert error.startswith("items that met an unexpected error: 2, the first: TypeError")
    assert bench.result["counts"] == {"done": 2, "defects": 2}
    lines = [line for line in bench.events(NAME) if line["event"] == "exception"]
    assert [(line["level"], line["item"]) for line in lines] == [("error", "forward 7"),
                                                                 ("error", "domain 8")]
    assert "TypeError: no number" in lines[0]["traceback"]
