"""Endpoints and deliveries of a whole installation (tests/support/shell.py), for real processes
and servers."""
from __future__ import annotations

import base64
import os
from datetime import timedelta

from tests.support.databases import bulk
from tests.support.product import clock

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four").decode()
# Different hosts at different addresses, all of them this machine's: two requests at once go to
# each of them.
HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 9))


def fill(service, port: int, endpoints: int, each: int, hosts=HOSTS,
         scheme: str = "http") -> list[str]:
    """So many endpoints on this machine, each with so many deliveries that are due. The event
    ids."""
    now, user = clock.now(), service.owner()["user_id"]
    first = (service.db.value("SELECT MAX(id) FROM {webhooks}") or 0) + 1
    made = range(first, first + endpoints)
    bulk(service.db, "webhooks", ["id", "user_id", "url", "secret", "created_at"],
         [(id, user, f"{scheme}://{hosts[id % len(hosts)]}:{port}/{id}", SECRET, clock.text(now))
          for id in made])
    ids = [os.urandom(8).hex() for _ in range(endpoints * each)]
    bulk(service.db, "webhook_deliveries", ["user_id", "webhook_id", "event_id", "payload",
                                            "attempts", "created_at", "last_attempt_at"],
         [(user, made[number % endpoints], id, '{"n": 1}', 1, clock.text(now - timedelta(hours=1)),
           clock.text(now - timedelta(hours=1))) for number, id in enumerate(ids)])
    return ids
