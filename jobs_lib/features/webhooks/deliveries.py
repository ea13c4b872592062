"""Webhook deliveries as a queue: which are due, and what is sent of one."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines.due_rows import Queue
from jobs_lib.ports.http.message import UNSENDABLE, Request

from .outcomes import LONGEST_WAIT, NOT_SENT

COLUMNS = ("webhook_id", "event_id", "event_type", "payload", "last_attempt_at", "last_error")
CONTENT_TYPE = "application/json"
MARGIN = 5.0                # seconds before the hard limit that are kept for storing what came


class Unsendable(ValueError):
    """A delivery that can never be sent, to any endpoint."""

    outcome = UNSENDABLE


class BadEndpoint(Unsendable):
    """An endpoint that nothing can be sent to until its owner has fixed it."""

    outcome = NOT_SENT


def queue(ctx) -> Queue:
    """The table `webhook_deliveries` as a queue. The app's own first attempt counts, and may not
    have been made."""
    return Queue("webhook_deliveries", "delivered", delays(ctx), first_due(delays(ctx), ctx.now),
                 COLUMNS, second="last_attempt_at")


def delays(ctx) -> tuple:
    """Before each attempt, counted from the one before: the first is due at once."""
    return (timedelta(0), *ctx.options.delays)


def first_due(waits: tuple, moment) -> tuple[str, dict]:
    """(SQL, values): rows without `next_attempt_at` that are due by then, counted from
    `last_attempt_at`. Due are also those whose values make no sense: else they would wait for ever,
    and nobody would see them."""
    rules = ["last_attempt_at IS NULL", "attempts IS NULL", "attempts < 0",
             "last_attempt_at > :impossible"]
    values = {"impossible": moment + LONGEST_WAIT + waits[-1]}
    for attempts, wait in enumerate(waits):
        values[f"before_{attempts}"] = moment - wait
        more = ">=" if attempts == len(waits) - 1 else "="
        rules.append(f"(attempts {more} {attempts} AND last_attempt_at <= :before_{attempts})")
    return f"({' OR '.join(rules)})", values


def request(row: dict, endpoint: dict, now) -> Request:
    """What is sent: the same body and id at each attempt, the time and so the signature of this
    one. Unsendable, BadEndpoint among them, if there is no such request."""
    from .signature import SecretError, sign
    body, event_id = _body(row["payload"]), text(row["event_id"])
    if not event_id:
        raise Unsendable("this delivery has no event id")
    if endpoint["bad"]:
        raise BadEndpoint(endpoint["bad"])
    secrets = [endpoint["secret"]]
    expires = endpoint["previous_secret_expires_at"]
    if endpoint["previous_secret"] and (not expires or (clock.parse_any(expires) or now) > now):
        secrets.append(endpoint["previous_secret"])
    seconds = int(now.timestamp())
    try:
        signature = sign(secrets, event_id, seconds, body)
    except SecretError as error:
        raise BadEndpoint(str(error)) from None
    return Request(f"webhook-{row['id']}", endpoint["url"], (
        ("Content-Type", CONTENT_TYPE), ("webhook-id", event_id),
        ("webhook-timestamp", str(seconds)),
        ("webhook-signature", signature)), body)


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
