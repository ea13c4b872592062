"""The queue of deliveries, what is sent of one, and what its answer means."""
from __future__ import annotations

import base64
import hmac
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines.attempts import POSTPONED, RETRY, SENT, UNUSABLE
from jobs_lib.engines.queue import Work
from jobs_lib.ports.http import ANSWERED, FAILED, OURS, UNSENDABLE, Request, Response
from jobs_lib.records import namedtuple

MARGIN = 5.0                # seconds before the hard limit that are kept for storing what came
# How often, and how many times, a delivery is tried behind its schedule: for a day.
EVERY, MORE = timedelta(hours=2), 12

OUR_ERROR = "our_error"     # an exception that nothing expects
# {Response.outcome: outcome of the attempt} of what is no failure of the endpoint
NOT_THEIRS = {OUR_ERROR: RETRY, UNSENDABLE: UNUSABLE, OURS: POSTPONED}

GONE, ASKS_TO_WAIT = 410, (429, 503)
LONGEST_WAIT = timedelta(hours=24)          # of a Retry-After that is honoured
# Nothing is sent for so long to an endpoint that did not answer: mostly the rest of a run. One that
# answers an error may refuse this delivery alone: its others go on.
PAUSE = timedelta(minutes=1)
PREFIX = "whsec_"               # of a secret

Verdict = namedtuple("Verdict", "outcome error blames wait gone",
                     defaults=("", False, None, False))
Verdict.__doc__ = """What a response means.

outcome  of the attempt (engines/attempts.py)
error    what `last_error` says, or ""
blames   whether it is a failure of the endpoint
wait     how long nothing is sent to the endpoint, or None
gone     whether it wants no more at all
"""


class Deliveries(Work):
    """The queue. The last attempt of a delivery ends it, unless endpoints of other owners were
    tried since it came in, and none of them has accepted anything: then the fault may be ours,
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
        others = ("SELECT id FROM {attempts} WHERE kind = :kind AND began_at >= :since "
                  "AND user_id <> :owner%s LIMIT 1")
        values = {"kind": self.queue.kind, "owner": row["user_id"], "since": row["created_at"]}
        return bool(self.db.row(others % "", **values)) and not self.db.row(
            others % f" AND outcome = '{SENT}'", **values)


def request(row: dict, endpoint: dict, now) -> Request | Response:
    """What is sent: the same body and id at each attempt, the time and the signature of this one. A
    Response where this delivery, or this endpoint until it is corrected, is given none."""
    payload, event_id = row["payload"], row["event_id"]
    secrets = [endpoint["secret"]]
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
        return Response(FAILED, text="the secret of this endpoint is not `whsec_` and base64")
    return Request(f"webhook-{row['id']}", endpoint["url"], (
        ("Content-Type", "application/json"), ("webhook-id", event_id),
        ("webhook-timestamp", str(seconds)), ("webhook-signature", signature)), body)


def sign(secrets, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` (Standard Webhooks 1.0): a `v1,...` for each of the secrets:
    an endpoint may know either. "" if the first is none; an older one that is none is left out."""
    keys = list(map(_key, secrets))
    if not keys[0]:
        return ""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.digest(each, signed, "sha256")).decode()
                    for each in keys if each)


def _key(secret: str) -> bytes:
    """The bytes behind `whsec_` and base64, with or without its `=`; b"" if there are none."""
    encoded = secret[len(PREFIX):] if secret.startswith(PREFIX) else secret
    encoded = encoded.rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return b""


def judge(response, now) -> Verdict:
    """2xx is success, all else a failure, a redirect too; 410 disables the endpoint."""
    status = response.status
    if response.outcome in NOT_THEIRS:
        return Verdict(NOT_THEIRS[response.outcome], response.text)
    if response.outcome != ANSWERED:
        return Verdict(RETRY, response.text, True, PAUSE)
    if 200 <= status < 300:
        return Verdict(SENT)
    redirect = ", and redirects are not followed" if status < 400 else ""
    # 410 does not end the delivery: that its endpoint is disabled does
    return Verdict(RETRY, f"the endpoint answered {status}{redirect}", True,
                   retry_after(response.retry_after, now) if status in ASKS_TO_WAIT else None,
                   status == GONE)


def retry_after(text: str, now) -> timedelta | None:
    """What a Retry-After asks for, in seconds or as a date (RFC 9110 10.2.3), at most a day; None
    if it is neither."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(timedelta(seconds=int(text[:10])), LONGEST_WAIT)     # ten digits are years
    from email.utils import parsedate_to_datetime
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=clock.UTC)
        return min(max(moment - now, timedelta(0)), LONGEST_WAIT)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
