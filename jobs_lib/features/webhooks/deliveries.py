"""The queue of deliveries, and what is sent of one."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines import attempts
from jobs_lib.engines.attempts import SENT
from jobs_lib.engines.queue import Work
from jobs_lib.ports.http.message import UNSENDABLE, Request

from .outcomes import NOT_SENT

CONTENT_TYPE = "application/json"
MARGIN = 5.0                # seconds before the hard limit that are kept for storing what came

# How often, and how many times, a delivery is tried behind its schedule: for a day.
EVERY, MORE = timedelta(hours=2), 12
READ = 50                   # attempts of a delivery, to find the first


class Deliveries(Work):
    """The queue. The last attempt of a delivery ends it, unless endpoints of other owners were
    tried since its first one, and none of them has accepted anything: then the fault may be ours,
    such as a network that is down, and it is tried for a day more."""

    def is_last(self, row: dict) -> bool:
        """Whether this attempt ends the delivery."""
        if not super().is_last(row):
            return False
        is_over = row["attempt"] >= len(self.delays) + MORE or self.is_old(row)
        return is_over or not self._is_our_fault(row)

    def next_time(self, attempt: int, now):
        """When the attempt after this one is due."""
        return now + EVERY if attempt >= len(self.delays) else super().next_time(attempt, now)

    def _is_our_fault(self, row: dict) -> bool:
        mine = attempts.of_item(self.db, self.queue.kind, row["id"], READ)
        others = ("SELECT id FROM {attempts} WHERE kind = :kind AND began_at >= :since "
                  "AND user_id <> :owner%s LIMIT 1")
        values = {"kind": self.queue.kind, "owner": row["user_id"],
                  "since": mine[0]["began_at"] if mine else row["created_at"]}
        return bool(self.db.row(others % "", **values)) and not self.db.row(
            others % f" AND outcome = '{SENT}'", **values)


class Unsendable(ValueError):
    """No request can be made: of this delivery, or to this endpoint until its owner has fixed it.
    `outcome` says which."""

    def __init__(self, text: str, outcome: str = UNSENDABLE) -> None:
        super().__init__(text)
        self.outcome = outcome


def request(row: dict, endpoint: dict, now) -> Request:
    """What is sent: the same body and id at each attempt, the time and so the signature of this
    one. Unsendable if there is no such request."""
    from .signature import SecretError, sign
    body, event_id = _body(row["payload"]), text(row["event_id"])
    url, secret, before = (text(endpoint[name]) for name in ("url", "secret", "previous_secret"))
    if not event_id:
        raise Unsendable("this delivery has no event id")
    if url is None:
        raise Unsendable("the URL of this endpoint is not text", NOT_SENT)
    secrets, expires = [secret or ""], endpoint["previous_secret_expires_at"]
    if before and (not expires or (clock.parse_any(expires) or now) > now):
        secrets.append(before)
    seconds = int(now.timestamp())
    try:
        signature = sign(secrets, event_id, seconds, body)
    except SecretError as error:
        raise Unsendable(str(error), NOT_SENT) from None
    return Request(f"webhook-{row['id']}", url, (
        ("Content-Type", CONTENT_TYPE), ("webhook-id", event_id),
        ("webhook-timestamp", str(seconds)), ("webhook-signature", signature)), body)


def _body(payload) -> bytes:
    body = str(payload) if isinstance(payload, (int, float)) else text(payload)
    if body is None:
        raise Unsendable("this delivery has no payload" if payload is None else "its payload is "
                         "not text")
    try:
        return body.encode("utf-8")
    except UnicodeEncodeError:
        raise Unsendable("its payload is not text") from None


def text(value) -> str | None:
    """Text, or bytes that are some: an app may have either. None if it is neither."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return value if isinstance(value, str) else None
