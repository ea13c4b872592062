"""An exception that nobody expects is seen: in the log with its place, in the counts, and as a run
that failed."""
from __future__ import annotations

import json

import pytest

from tests.support.product import Conflict, declare

NAME = "purge_everything"
PASSWORD = "correct-horse-9"


def made(work):
    """The function as a job."""
    return declare(schedule="@daily", idempotency="Counts.")(work)._replace(name=NAME)


# R73
def test_an_unexpected_error_of_one_item_fails_the_run_after_the_others_were_worked(bench):
    def job(ctx):
        ctx.count("done")
        ctx.defect(TypeError("no number"), "forward 7")
        ctx.defect(TypeError(), "forward 8")
        ctx.count("done")
        return ctx.counts
    error = bench.fails(made(job))
    assert error.startswith("2 items met an unexpected error, the first: TypeError")
    assert bench.result["counts"] == {"done": 2, "defects": 2}
    lines = [line for line in bench.events(NAME) if line["event"] == "exception"]
    assert [(line["level"], line["item"]) for line in lines] == [("error", "forward 7"),
                                                                 ("error", "forward 8")]
    assert "TypeError: no number" in lines[0]["traceback"]


# R73
def test_it_is_seen_though_its_transaction_is_rolled_back_and_once_if_tried_again(bench):
    tries = []

    def job(ctx):
        def work():
            ctx.count("done")
            ctx.defect(TypeError("in a batch"), "domain 3")
            tries.append(1)
            if len(tries) == 1:
                raise Conflict("again")
            if len(tries) == 2:
                raise ValueError("given up")
        with pytest.raises(ValueError):
            ctx.db.batch(work)
        return ctx.counts
    bench.fails(made(job))
    assert bench.result["counts"] == {"defects": 1}
    assert [line["event"] for line in bench.events(NAME)].count("exception") == 1


# R72
def test_no_address_no_password_and_no_secret_of_an_unexpected_error_is_stored(bench):
    bench.config(mail={"password": PASSWORD, "srs_secret": "s" * 40})

    def job(ctx):
        address = "someone.private@example.org"
        ctx.defect(ValueError(f"{address} {PASSWORD}"), f"row of {address}")
        raise RuntimeError(f"cannot sign in at https://us:er@host/?token=abc with {PASSWORD} "
                           f"{'s' * 40} {address}")
    error = bench.fails(made(job))
    assert error.startswith("RuntimeError: cannot sign in at https://host/?... with ... ... ")
    stored = error + json.dumps(bench.events(NAME)) + str(bench.rows("job_runs"))
    for secret in ("someone.private", PASSWORD, "s" * 40, "us:er", "token=abc"):
        assert secret not in stored
