"""What is not due yet costs a run next to nothing, whatever there is of it: what is due goes out at
once."""
from __future__ import annotations

import pytest

from tests.jobs.test_retry_webhooks import JOB, SECRET, flood, row
from tests.support.databases import bulk
from tests.support.plans import analyse, problems
from tests.support.product import ANSWERED, Response, clock

LARGE = ("webhooks", "webhook_deliveries")
COLUMNS = ["user_id", "webhook_id", "event_id", "payload", "attempts", "created_at",
           "last_attempt_at", "next_attempt_at"]


def waiting(bench, owners: int, endpoints: int, first: int = 100, scheduled: bool = True) -> None:
    """So many owners, each with so many endpoints, each with one delivery that waits for later."""
    now, later = clock.text(bench.now), clock.text(bench.ahead(minutes=5)) if scheduled else None
    bulk(bench.db, "users", ["id", "email", "status", "created_at"],
         [(owner, f"u{owner}@home.example", "active", now) for owner in range(first,
                                                                              first + owners)])
    start = (bench.db.value("SELECT MAX(id) FROM {webhooks}") or 0) + 1
    made = [(start + at, first + at // endpoints) for at in range(owners * endpoints)]
    bulk(bench.db, "webhooks", ["id", "user_id", "url", "secret", "created_at"],
         [(id, owner, f"https://w{id}.example/", SECRET, now) for id, owner in made])
    bulk(bench.db, "webhook_deliveries", COLUMNS,
         [(owner, id, f"w{id}", "{}", 2, now, now, later) for id, owner in made])


def asked_before_each(bench) -> list:
    """How many statements came before each request."""
    asked: list = []

    def answer(_) -> Response:
        asked.append(len(bench.statements))
        return Response(ANSWERED, 204)
    bench.web.answer = answer
    return asked


@pytest.mark.slow
@pytest.mark.parametrize("scheduled", [True, False])
@pytest.mark.parametrize("owners, endpoints", [(1, 20_000), (5000, 1)])
# R15 R66
def test_what_waits_for_later_costs_what_is_due_no_time(bench, owners, endpoints, scheduled):
    waiting(bench, owners, endpoints, scheduled=scheduled)
    # behind all of these, and more than are found at once
    flood(bench, 99_000, 1, 2100)
    asked = asked_before_each(bench)
    bench.run(JOB, limit=40)
    assert len(bench.web) == 40
    assert asked[0] < 120
    assert len(bench.statements) < 40 * 15


@pytest.mark.slow
def test_whoever_is_found_late_has_a_turn_in_the_same_run(bench):       # R66
    waiting(bench, 1, 60_000)
    flood(bench, 50, 1, 2100)                       # before them, and all that is found at once
    flood(bench, 99_000, 1, 5, due=clock.text(bench.ago(minutes=1)))            # behind them
    asked_before_each(bench)
    bench.run(JOB, limit=200)
    sent = [int(one.url[9:].partition("-")[0]) for one in bench.web]
    assert sent.count(99_000) == 5
    assert max(at for at, owner in enumerate(sent) if owner == 99_000) < 100


@pytest.mark.slow
# R66
def test_an_owners_endpoint_that_is_due_is_found_among_many_of_theirs_that_are_not(bench):
    waiting(bench, 1, 30_000, first=8)
    flood(bench, 9, 1, 2100)
    hook = bench.db.value("SELECT MAX(id) FROM {webhooks} WHERE user_id = 8")
    due = bench.table("webhook_deliveries", [{
        "user_id": 8, "webhook_id": hook, "event_id": "late", "payload": "{}", "attempts": 1,
        "created_at": bench.now,
        "last_attempt_at": bench.ago(hours=1), "next_attempt_at": bench.ago(minutes=1)}])[0]
    asked_before_each(bench)
    bench.run(JOB, limit=200)
    assert row(bench, due)["status"] == "delivered"
    assert len(bench.statements) < 200 * 15


@pytest.mark.slow
def test_a_run_that_is_to_stop_searches_no_further(bench):      # R4
    waiting(bench, 1, 60_000)
    flood(bench, 99_000, 1, 2100)
    asked: list = []

    def statement(sql, _values) -> None:
        if "is_later" in sql:
            asked.append(sql)
            bench.clock.seconds += 10_000           # the budget is spent
    bench.on_statement = statement
    bench.attempt(JOB)
    assert bench.result["stop_reason"] == "budget"
    assert len(asked) == 1
    assert bench.web == []


@pytest.mark.slow
def test_the_search_is_served_by_an_index(bench):       # R15
    waiting(bench, 2000, 5)
    ended = clock.text(bench.ago(days=1))
    bulk(bench.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload", "status",
                                          "created_at"],
         [(100 + at % 2000, at % 10_000 + 1, f"d{at}", "{}", "delivered", ended)
          for at in range(60_000)])
    flood(bench, 99, 50, 100)
    flood(bench, 98, 50, 100, due=clock.text(bench.ago(minutes=1)))
    analyse(bench.db, LARGE)
    heard: dict = {}
    bench.on_statement = heard.setdefault
    bench.run(JOB, limit=100)
    assert sum("is_later" in sql for sql in heard) >= 3
    assert [why for sql, values in heard.items() for why in problems(bench.db, sql, values,
                                                                     LARGE)] == []
