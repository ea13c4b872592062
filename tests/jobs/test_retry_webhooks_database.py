"""What a database that fails in the middle of a run leaves behind: nothing sent twice, and nothing
counted twice."""
from __future__ import annotations

import threading

import pytest

from tests.support.hooks import delivery, endpoint, flood
from tests.support.patience import SOON
from tests.support.product import ANSWERED, Busy, DatabaseError, Response

JOB = "retry_webhooks"
NONE = {"delivered": 0, "retried": 0, "failed": 0}
CANCELS = "SET status = 'failed', finished_at = :now, next_attempt_at"


@pytest.fixture(autouse=True)
def hook(bench):
    """An active account with one endpoint, 1."""
    bench.table("users", [{"id": 7, "email": "jo@home.example", "name": "Jo", "status": "active"}])
    return endpoint(bench)


def test_an_answer_in_hand_is_stored_although_the_database_fails_meanwhile(bench):      # R70
    flood(bench, 8, 1, 1)
    is_sent, failed = threading.Event(), threading.Event()

    def answer(_) -> Response:
        assert failed.wait(SOON)
        return Response(ANSWERED, 500)

    def statement(sql, _values) -> None:
        if is_sent.is_set() and not failed.is_set() and sql.startswith("SELECT"):
            failed.set()                # what is looked up while the request is in flight
            raise Busy("the database is busy")
        if "payload" in sql:
            is_sent.set()
    bench.web.answer, bench.on_statement = answer, statement
    assert bench.attempt(JOB)["status"] == "partial"
    assert bench.result["counts"] == {**NONE, "retried": 1}
    [tried] = bench.rows("webhook_deliveries")
    assert (tried["status"], tried["last_error"], tried["claim_run"]) == (
        "pending", "the endpoint answered 500", None)


@pytest.mark.parametrize("statement", [CANCELS, "UPDATE {job_runs} SET heartbeat_at"])
def test_what_fails_behind_a_commit_counts_and_logs_none_of_it_twice(bench, statement):      # R70
    bench.web.answer = lambda _: Response(ANSWERED, 410)
    bench.clock.step = 1.0                          # its progress is stored, too
    for _ in range(4):
        delivery(bench)
    failed: list = []

    def fail(sql, _values) -> None:
        if statement in sql and bench.web and not failed:
            failed.append(sql)
            raise DatabaseError("the disk is full")
    bench.on_statement = fail
    bench.attempt(JOB)
    assert failed
    bench.on_statement = None
    counts = bench.result["counts"]
    assert counts["retried"] == 1
    lines = [(event["event"], event.get("outcome")) for event in bench.events(JOB)]
    assert lines.count(("delivery", "retried")) == 1
    assert lines.count(("endpoint disabled", None)) == counts.get("disabled", 0)
    ended = [one for one in bench.rows("webhook_deliveries") if one["status"] == "failed"]
    assert len(ended) == counts.get("cancelled", 0)
