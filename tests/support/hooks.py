"""Endpoints and deliveries, for a bench (tests/support/bench.py) and for a whole installation
(tests/support/shell.py) with real processes and servers."""
from __future__ import annotations

import base64
import os
from datetime import timedelta

from tests.support.databases import bulk
from tests.support.product import FAILED, Response, clock

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four").decode()
TIMED_OUT = Response(FAILED, text="no answer in time")
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
          failing_since=None) -> list[int]:
    """An owner with so many endpoints, each with so many deliveries that are due for long. The ids
    of the endpoints."""
    if owner not in bench.ids("users"):
        bench.table("users", [{"id": owner, "status": "active"}])
    events = [f"evt_{owner}_{at}" for at in range(endpoints * each)]
    return _many(bench.db, owner, endpoints, lambda id: url.format(owner=owner, id=id), events,
                 bench.ago(hours=9), failing_since and clock.text(failing_since))


def fill(service, port: int, endpoints: int, each: int, hosts=HOSTS) -> list[str]:
    """So many endpoints on this machine, each with so many due deliveries. The event ids."""
    events = [os.urandom(8).hex() for _ in range(endpoints * each)]
    _many(service.db, service.owner()["user_id"], endpoints,
          lambda id: f"http://{hosts[id % len(hosts)]}:{port}/{id}", events,
          clock.now() - timedelta(hours=1))
    return events


def _many(db, owner: int, endpoints: int, url, events: list, when, failing=None) -> list[int]:
    """So many endpoints, each at `url(id)`, which get the events in turn, all tried at that
    time. Their ids."""
    first, tried = (db.value("SELECT MAX(id) FROM {webhooks}") or 0) + 1, clock.text(when)
    made = [*range(first, first + endpoints)]
    bulk(db, "webhooks", ["id", "user_id", "url", "secret", "created_at", "failing_since"],
         [(id, owner, url(id), SECRET, tried, failing) for id in made])
    bulk(db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload", "attempts",
                                    "created_at", "last_attempt_at"],
         [(owner, made[number % endpoints], event, "{}", 1, tried, tried)
          for number, event in enumerate(events)])
    return made
