"""What a run counts and logs follows its transactions: what was not stored was not done."""
from __future__ import annotations

import json
import threading

import pytest

from tests.support.bench import Bench
from tests.support.product import Conflict, JobsError, connect, declare

NAME = "purge_everything"


@pytest.fixture
def maria_bench(tmp_path, mariadb, pool):
    url = pool.mariadb(mariadb)
    bench = Bench(tmp_path, url)
    yield bench
    bench.db.close()
    pool.give_back(mariadb, url)


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


def test_a_real_deadlock_counts_and_logs_once(maria_bench):                     # R73
    bench = maria_bench
    for name in ("a", "b"):
        bench.db.insert("meta", name=name, value="")
    first_has_a, second_has_b = threading.Event(), threading.Event()

    def other():
        db = connect(bench.url)
        first_has_a.wait(10)
        with db.transaction():
            for number in range(200):           # much written: the server gives up the other one
                db.insert("meta", name=f"weight{number}", value="")
            put(db, "b")
            second_has_b.set()
            put(db, "a")
        db.close()

    def put(db, name: str) -> None:
        db.execute("UPDATE {meta} SET value = 'x' WHERE name = :name", name=name)

    def job(ctx):
        def work():
            ctx.count("tries")
            ctx.log.event("done")
            put(ctx.db, "a")
            first_has_a.set()
            second_has_b.wait(10)
            put(ctx.db, "b")
        ctx.db.batch(work)
    thread = threading.Thread(target=other)
    thread.start()
    counts = bench.run(made(job))
    thread.join(20)
    assert bench.statements.count("START TRANSACTION") > 1          # it met the deadlock
    assert (counts, said(bench)) == ({"tries": 1}, 1)


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
