"""No statement of a run goes through all rows of a table that grows, whatever is due."""
from __future__ import annotations

from datetime import timedelta

import pytest

from tests.every_job.test_cut_short import JOBS, maker
from tests.support.plans import analyse, problems
from tests.support.product import Response, Result

NUMBER = 6000
ANSWERS = (204, 500, 503, 410)      # of endpoints, by their owner
REPLIES = (Result("sent", 250, "2.0.0", "taken"), Result("retry", 451, "4.3.0", "later"),
           Result("final", 550, "5.1.1", "no such user"), Result("sent", 250, "2.0.0", "taken"))
DONE = {            # rows for which no job has anything to do: most of what there is
    "users": {}, "aliases": {}, "destinations": {"verified_at": "now"},
    "domains": {"ownership_token": "t", "status": "failed"},
    "message_logs": {"direction": "send", "status": "spam"},
    "failed_emails": {"alias_id": 1, "status": "sent", "finished_at": "now"},
    "overflow_hold": {"alias_id": 1, "held_at": "now"},
    "spam_quarantine": {"alias_id": 1, "quarantined_at": "now"},
    "audit_logs": {"event": "signed_in"},
    "magic_links": {"expires_at": "later"},
    "sessions": {"last_seen_at": "now", "expires_at": "later"},
    "webhooks": {"secret": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
    "webhook_deliveries": {"webhook_id": 10, "status": "delivered",
                           "finished_at": "now"},
    "export_requests": {"status": "expired"},
    "notifications": {"kind": "own", "to_email": "a@b.example", "status": "sent"},
    "attempts": {"kind": "forward", "began_at": "now"},
}


def owner_in(address: str) -> int:
    """The number in it."""
    return int("".join(filter(str.isdecimal, address)) or 0)


@pytest.mark.slow
def test_every_statement_is_served_by_an_index(bench):     # R15
    maker(bench)()
    times = {"now": bench.now, "later": bench.now + timedelta(days=9)}
    for table, values in DONE.items():
        given = {name: times.get(value, value) for name, value in values.items()}
        refers = {"aliases": ("user_id", "domain_id"), "overflow_hold": ("user_id", "warning_id"),
                  "users": ()}.get(table, ("user_id",))
        bench.bulk(table, [{**given, **dict.fromkeys(refers, 9000 + at % 900)}
                           for at in range(NUMBER)])
    bench.web.answer = lambda sent: Response("answered", ANSWERS[owner_in(sent.url) % 4], "60")
    bench.outbox.answer = lambda envelope: REPLIES[owner_in(envelope.recipient) % 4]
    analyse(bench.db, [*DONE])
    wrong = {}
    for job in JOBS:
        heard: dict = {}
        for dry_run in (True, False):
            bench.on_statement = heard.setdefault
            bench.run(job, dry_run=dry_run)
            bench.on_statement = None
        wrong[job] = [why for sql, values in heard.items()
                      for why in problems(bench.db, sql, values, [*DONE])]
    assert {job: found for job, found in wrong.items() if found} == {}
