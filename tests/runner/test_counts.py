"""What a run counts and logs follows its transactions: what was not stored was not done."""
from __future__ import annotations

import json

import pytest

from tests.support.product import Conflict, JobsError, declare

NAME = "purge_everything"


def made(work):
    """The function as a job."""
    return declare(schedule="@daily", idempotency="Counts.")(work)._replace(name=NAME)


def said(bench, event: str = "done") -> int:
    """How many such lines the log has."""
    return [line["event"] for line in bench.events(NAME)].count(event)


def test_a_batch_that_is_tried_again_counts_and_logs_once(bench):               # R73
    tries = []

    def job(ctx):
        counts = ctx.counts
        counts["before"] = 1

        def work():
            tries.append(1)
            counts["done"] = counts.get("done", 0) + 1
            ctx.count("rows", 2)
            ctx.log.event("done")
            if len(tries) < 3:
                raise Conflict("rows changed while they were counted")
        ctx.db.batch(work)
        return counts
    assert bench.run(made(job)) == {"before": 1, "done": 1, "rows": 2}
    assert (len(tries), said(bench)) == (3, 1)


def test_what_is_rolled_back_was_not_counted_and_the_rest_stays(bench):         # R73
    def job(ctx):
        ctx.count("stored")
        with ctx.db.transaction():
            ctx.count("stored")
            ctx.log.event("done")
        try:
            with ctx.db.transaction():
                ctx.count("stored")
                ctx.counts["lost"] = 7
                ctx.log.event("done")
                raise KeyError("of the work")
        except KeyError:
            ctx.log.event("after")
        return ctx.counts
    assert bench.run(made(job)) == {"stored": 2}
    assert (said(bench), said(bench, "after")) == (1, 1)


@pytest.mark.parametrize("error", [JobsError("the well is dry"), ZeroDivisionError(),
                                   KeyboardInterrupt()], ids=lambda error: type(error).__name__)
def test_a_run_that_fails_keeps_what_it_has_counted(bench, error):              # R73
    def job(ctx):
        ctx.counts.update(sent=3, failed=0)
        with ctx.db.transaction():
            ctx.count("sent")
            ctx.log.event("done")
            raise error
    assert bench.attempt(made(job))["counts"] == {"sent": 3, "failed": 0}
    assert json.loads(bench.rows("job_runs")[-1]["counts"]) == {"sent": 3, "failed": 0}
    assert said(bench) == 0


def test_a_transaction_whose_connection_is_thrown_away_counts_nothing(bench):   # R73
    def job(ctx):
        ctx.count("done", 0)
        ctx.db.transaction().__enter__()        # a signal between `with` and its block leaves it so
        ctx.count("done")
        ctx.log.event("done")
        ctx.db.invalidate()
        ctx.count("after")
    assert bench.run(made(job)) == {"done": 0, "after": 1}
    assert said(bench) == 0
