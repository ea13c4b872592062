"""No statement of a run goes through all deliveries or endpoints, whatever the answers are."""
from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.databases import bulk
from tests.support.plans import analyse, problems
from tests.support.product import ANSWERED, Response, clock

ENDPOINTS, DELIVERIES = 2000, 24_000
LARGE = ("webhooks", "webhook_deliveries")
STATUSES = (204, 500, 503, 410)


@pytest.mark.slow
def test_every_statement_is_served_by_an_index(bench):     # R15
    now, long_ago = clock.text(bench.now), clock.text(bench.ago(days=8))
    bench.table("users", [{"id": 7, "email": "jo@home.example", "status": "active"}])
    bulk(bench.db, "webhooks", ["id", "user_id", "url", "secret", "failing_since", "created_at"],
         [(id, 7, f"https://h{id}.example/{id % 4}", "whsec_c2VjcmV0", long_ago if id % 3 == 0
           else None, long_ago) for id in range(1, ENDPOINTS + 1)])
    later, rows = clock.text(bench.ahead(hours=1)), []
    for number in range(DELIVERIES):
        # most are done, some wait for later, some are due
        moment, waits = clock.text(bench.now - timedelta(minutes=number % 9000)), number % 16 == 0
        due = (None, now, later)[number // 16 % 3] if waits else None
        rows.append((7, number % 1999 + 1, f"evt_{number}", "{}", "pending" if waits
                     else "delivered", due, moment, None if waits else moment))
    bulk(bench.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload", "status",
                                          "next_attempt_at", "created_at", "finished_at"], rows)
    analyse(bench.db, LARGE)
    heard: dict = {}
    bench.on_statement = heard.setdefault
    bench.web.answer = lambda sent: Response(ANSWERED, STATUSES[int(sent.url[-1])], "60")
    counts = bench.run("retry_webhooks", limit=150)
    assert len(counts) >= 4, counts                     # all of the answers came
    bench.run("retry_webhooks", dry_run=True)
    assert len(heard) > 15
    assert [why for sql, values in heard.items() for why in problems(bench.db, sql, values,
                                                                     LARGE)] == []
