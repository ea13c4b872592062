"""The sample service's webhooks: three endpoints, and deliveries to them in every state."""
from __future__ import annotations

import json
from collections import namedtuple
from datetime import timedelta

_ago = timedelta

SECRET, URL = "whsec_c2FtcGxlLXNlY3JldA==", "https://hooks.example"
# name: owner, since when it is switched off
ENDPOINTS = {"shop": ("jane", None), "old": ("jane", _ago(days=3)), "omar": ("omar", None)}

Delivery = namedtuple("Delivery", "endpoint event status age attempts last code",
                      defaults=(None, None))
Delivery.__doc__ = "One row of webhook_deliveries; `age` and `last`, since the latest attempt, count back from now."

DELIVERIES = (
    # due: never tried, tried by the app, and at an endpoint that is switched off
    Delivery("shop", "message.forwarded", "pending", _ago(minutes=1), 0),
    Delivery("shop", "message.held", "pending", _ago(minutes=9), 2, _ago(minutes=6), 500),
    Delivery("old", "message.forwarded", "pending", _ago(minutes=8), 1, _ago(minutes=8), 500),
    # not due, or not for its owner
    Delivery("shop", "message.blocked", "pending", _ago(minutes=21), 3, _ago(minutes=10), 500),
    Delivery("omar", "message.forwarded", "pending", _ago(days=45), 2, _ago(days=45), 500),
    # finished
    Delivery("shop", "message.forwarded", "delivered", _ago(days=33), 1, _ago(days=33), 204),
    Delivery("shop", "message.forwarded", "failed", _ago(days=31), 5, _ago(days=31), 500),
    Delivery("shop", "message.forwarded", "delivered", _ago(days=29, hours=23), 1, _ago(days=29, hours=23), 204),
    Delivery("shop", "message.forwarded", "delivered", _ago(hours=2), 1, _ago(hours=2), 204),
)


def event_id(number: int) -> str:
    """Of the delivery `DELIVERIES[number - 1]`."""
    return f"evt_{4710 + number}"


def fill(db, now, owners: dict, url: str = URL) -> None:
    """Insert them all, the endpoints below `url`."""
    hooks = {name: _endpoint(db, now, f"{url}/{name}", owners[owner], off)
             for name, (owner, off) in ENDPOINTS.items()}
    for number, row in enumerate(DELIVERIES, 1):
        payload = {"type": row.event, "alias": "shop@alias.example"}
        db.insert("webhook_deliveries", webhook_id=hooks[row.endpoint],
                  user_id=owners[ENDPOINTS[row.endpoint][0]], event_id=event_id(number),
                  event_type=row.event, payload=json.dumps(payload), status=row.status,
                  attempts=row.attempts, last_attempt_at=None if row.last is None else now
                  - row.last, created_at=now - row.age, response_status=row.code,
                  finished_at=None if row.status == "pending" else now - row.age
                  + timedelta(minutes=1))


def _endpoint(db, now, url: str, user_id: int, off) -> int:
    return db.insert("webhooks", user_id=user_id, url=url, secret=SECRET, active=int(off is None),
                     disabled_at=None if off is None else now - off,
                     disabled_reason=None if off is None else "every delivery has failed for 5 "
                     "days", created_at=now - timedelta(days=100))


def snapshot(db) -> dict:
    """{id: row} of all deliveries: `endpoint` is the end of its URL, `owner` its owner's status."""
    rows = db.query(
        "SELECT {webhook_deliveries}.id, webhook_id, {webhook_deliveries}.user_id, event_id, "
        "event_type,"
        " {webhook_deliveries}.status, attempts, next_attempt_at, last_attempt_at, last_error, url,"
        " {users}.status AS owner FROM {webhook_deliveries} JOIN {webhooks} "
        "ON {webhooks}.id = webhook_id"
        " JOIN {users} ON {users}.id = {webhook_deliveries}.user_id "
        "ORDER BY {webhook_deliveries}.id")
    return {row["id"]: {**row, "endpoint": row["url"].rpartition("/")[2]} for row in rows}
