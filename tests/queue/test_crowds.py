"""However many rows one owner has due, the others are served in the first run
(tests/queue/test_turns.py has the cases of mail)."""
from __future__ import annotations

from collections import Counter

import pytest

from tests.queue.filling import BOTH, NOTICES, TABLE, owners
from tests.queue.filling import fill as fill_mail
from tests.support.databases import fill
from tests.support.hooks import SECRET
from tests.support.plans import analyse, explain
from tests.support.product import ANSWERED, Response

pytestmark = pytest.mark.slow
FLOOD, OTHER = 1, 2
MANY = 100_000
OF_OTHER = 5


@pytest.fixture
def crowd(bench):
    """A bench with a user 1, who will have many rows, and a user 2."""
    bench.table("users", [{"id": id, "email": f"u{id}@home.example"} for id in (FLOOD, OTHER)])
    bench.table("webhooks", [{"id": id, "user_id": id, "url": f"https://h{id}.example/",
                              "secret": SECRET} for id in (FLOOD, OTHER)])
    bench.config(core={"app_url": "https://app.example"}, export={"dir": "exports"},
                 dns={"mx_hosts": "mx.alias.example"})
    return bench


def delivery(bench, owner: int) -> dict:
    return {"user_id": owner, "webhook_id": owner, "event_id": "e", "payload": "{}",
            "created_at": bench.ago(hours=2)}


@pytest.mark.parametrize("is_counted", [True, False])
@pytest.mark.parametrize("job", [*BOTH, "retry_webhooks"])
def test_where_more_is_due_than_a_page_nothing_sorts_it(crowd, job, is_counted):     # R15 R66
    table, past = TABLE.get(job, "webhook_deliveries"), crowd.ago(hours=1)
    if job in BOTH:
        owners(crowd, [3])
        fill_mail(crowd, job, 3, 3000, next_attempt_at=past)
    else:
        fill(crowd.db, table, {**delivery(crowd, FLOOD), "next_attempt_at": past}, 10_000)
    if job == NOTICES:
        fill_mail(crowd, job, 3, 1000, next_attempt_at=past, priority=0)
    for number in range(100):                           # a few rows of each time
        crowd.db.execute(f"UPDATE {{{table}}} SET next_attempt_at = :time WHERE id % 100 = :number",
                         time=crowd.ago(minutes=90, seconds=number), number=number)
    if is_counted or crowd.db.dialect.name == "mysql":
        analyse(crowd.db, [table])
    heard: dict = {}
    crowd.on_statement = heard.setdefault
    crowd.run(job, limit=5)
    crowd.on_statement = None
    plans = {sql: str(explain(crowd.db, sql, **values)) for sql, values in heard.items()
             if f"FROM {{{table}}}" in sql and "ORDER BY" in sql and "GROUP BY" not in sql}
    assert len(plans) > 1
    assert {sql: plan for sql, plan in plans.items()
            if "TEMP B-TREE" in plan or "filesort" in plan} == {}


@pytest.mark.parametrize("is_timed", [True, False])
def test_five_deliveries_beside_a_hundred_thousand_are_served_at_once(crowd, is_timed):     # R66
    timed = {"next_attempt_at": crowd.ago(minutes=90)} if is_timed else {}
    fill(crowd.db, "webhook_deliveries", {**delivery(crowd, FLOOD), **timed}, MANY)
    crowd.table("webhook_deliveries", [{**delivery(crowd, OTHER), **timed}] * OF_OTHER)
    crowd.web.answer = lambda request: Response(ANSWERED, 204)
    assert crowd.run("retry_webhooks", limit=100)["delivered"] == 100
    asked = Counter(request.url for request in crowd.web)
    assert asked == {"https://h1.example/": 100 - OF_OTHER, "https://h2.example/": OF_OTHER}


@pytest.mark.parametrize("job, table, time, done, number", [
    ("check_domains", "domains", "next_check_at", "checked_at IS NOT NULL", OF_OTHER),
    ("export_accounts", "export_requests", "requested_at", "status = 'ready'", 1)])
def test_others_beside_a_hundred_thousand_are_served_in_the_first_run(
        crowd, job, table, time, done, number):     # R66
    named = {"name": "club.example", "ownership_token": "t"} if table == "domains" else {}
    for at in range(160, 60, -1):                       # a few rows of each time
        fill(crowd.db, table, {**named, time: crowd.ago(minutes=at), "user_id": FLOOD}, MANY // 100)
    crowd.table(table, [{**named, time: crowd.ago(hours=1), "user_id": OTHER}] * number)
    crowd.run(job, limit=2 * number)
    assert len(crowd.ids(table, f"user_id = {OTHER} AND {done}")) == number
