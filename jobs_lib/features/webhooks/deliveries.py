"""The queue of deliveries, and what is sent of one."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines import attempts
from jobs_lib.engines.queue import Work
from jobs_lib.ports.http.message import REFUSED, UNSENDABLE, Request, Response

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
            others % f" AND outcome = '{attempts.SENT}'", **values)


def request(row: dict, endpoint: dict, now) -> Request | Response:
    """What is sent: the same body and id at each attempt, the time and so the signature of this
    one. A Response where there is no such request: of this delivery, or to this endpoint until its
    owner has corrected it."""
    from .signature import sign
    payload, event_id, secrets = row["payload"], row["event_id"], [endpoint["secret"]]
    if payload is None or not event_id:
        missing = "payload" if event_id else "event id"
        return Response(UNSENDABLE, text=f"this delivery has no {missing}")
    body = payload if isinstance(payload, bytes) else str(payload).encode()
    expires = endpoint["previous_secret_expires_at"]
    if endpoint["previous_secret"] and (not expires or (clock.parse_any(expires) or now) > now):
        secrets.append(endpoint["previous_secret"])
    seconds = int(now.timestamp())
    signature = sign(secrets, event_id, seconds, body)
    if not signature:                   # the words never quote it
        return Response(REFUSED, text="the secret of this endpoint is not `whsec_` and base64")
    return Request(f"webhook-{row['id']}", endpoint["url"], (
        ("Content-Type", CONTENT_TYPE), ("webhook-id", event_id),
        ("webhook-timestamp", str(seconds)), ("webhook-signature", signature)), body)
