"""Endpoints and deliveries, for a bench (tests/support/bench.py) and for a whole installation
(tests/support/shell.py) with real processes and servers."""
from __future__ import annotations

import base64
import os
from datetime import timedelta

from tests.support.databases import bulk
from tests.support.product import TIMEOUT, Response, clock

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four").decode()
TIMED_OUT = Response(TIMEOUT, text="no answer within 15 seconds")
# Different hosts at different addresses, all of them this machine's: two requests at once go to
# each of them.
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 9))


def endpoint(bench, **values) -> int:
    """An endpoint of account 7. Its id."""
    return bench.table("webhooks", [{"user_id": 7, "url": "https://shop.example/hook",
                                     "secret": SECRET, **values}])[0]


def delivery(bench, webhook_id: int = 1, **values) -> int:
    """One that the app has tried, and that is due. Its id."""
    first = bench.ago(minutes=1)
    made = {"user_id": 7, "webhook_id": webhook_id,
            "event_id": f"evt_{len(bench.ids('webhook_deliveries'))}",
            "event_type": "mail.received", "payload": '{"from": "jürgen@example.org"}',
            "attempts": 1, "created_at": first, "last_attempt_at": first}
    return bench.table("webhook_deliveries", [{**made, **values}])[0]


def flood(bench, owner: int, endpoints: int, each: int, url: str = "https://u{owner}-{id}.example/",
          failing_since=None, **values) -> list[int]:
    """An owner with so many endpoints, each with so many deliveries that are due for long. The ids
    of the endpoints."""
    if owner not in bench.ids("users"):
        bench.table("users", [{"id": owner, "status": "active"}])
    first = (bench.db.value("SELECT MAX(id) FROM {webhooks}") or 0) + 1
    long_ago, made = clock.text(bench.ago(hours=9)), range(first, first + endpoints)
    bulk(bench.db, "webhooks", ["id", "user_id", "url", "secret", "created_at", "failing_since"],
         [(id, owner, url.format(owner=owner, id=id), SECRET, long_ago,
           failing_since and clock.text(failing_since)) for id in made])
    bulk(bench.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload",
                                          "attempts", "created_at", "last_attempt_at",
                                          "next_attempt_at"],
         [(owner, made[at % endpoints], f"evt_{owner}_{at}", "{}", 1, long_ago, long_ago,
           values.get("due")) for at in range(endpoints * each)])
    return list(made)


def fill(service, port: int, endpoints: int, each: int, hosts=HOSTS) -> list[str]:
    """So many endpoints on this machine, each with so many deliveries that are due. The event
    ids."""
    now, user = clock.now(), service.owner()["user_id"]
    first = (service.db.value("SELECT MAX(id) FROM {webhooks}") or 0) + 1
    made = range(first, first + endpoints)
    bulk(service.db, "webhooks", ["id", "user_id", "url", "secret", "created_at"],
         [(id, user, f"http://{hosts[id % len(hosts)]}:{port}/{id}", SECRET, clock.text(now))
          for id in made])
    ids = [os.urandom(8).hex() for _ in range(endpoints * each)]
    bulk(service.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload",
                                            "attempts", "created_at", "last_attempt_at"],
         [(user, made[number % endpoints], id, '{"n": 1}', 1, clock.text(now - timedelta(hours=1)),
           clock.text(now - timedelta(hours=1))) for number, id in enumerate(ids)])
    return ids
