"""Retry failed webhook deliveries on the 1m, 5m, 30m, 2h schedule.

An event that the app could not deliver to an endpoint waits in `webhook_deliveries`. Each delay
counts from the attempt before, the app's own first one included. A request is signed (Standard
Webhooks), goes to public addresses only and follows no redirect; 2xx is a success. 429 and 503 may
say how long to wait. 410 switches the endpoint off at once, and so do 5 days without a success: its
owner is notified once, and what waits for it is cancelled.

Up to 8 requests are in flight, at most one to an endpoint and two to a host, of which an owner has
one while another waits for it. One that has waited for a second leaves its place to another, so
that slow endpoints hold up no quick ones: up to 24 more may wait like this. An endpoint that does
not answer in time is left alone for the rest of the run, and so is a server that does not accept
the connection.

Crash safety: nothing is lost, and at most the requests in flight are sent twice, with the same id
and body.
"""
from __future__ import annotations

from jobs_lib.config import option_types as kind
from jobs_lib.config.option_types import Option
from jobs_lib.job import AUDITS, NOTIFIES, declare


@declare(
    schedule="* * * * *", priority="high", sections=("webhooks", "personas"),
    options={
        "delays": Option(kind.several(kind.duration), "1m, 5m, 30m, 2h",
                         "The wait before each retry, counted from the attempt before; the first "
                         "attempt is the app's. Their number is the number of retries."),
    },
    idempotency="A row is claimed, marked `sending` with its attempt counted, and only then sent; "
    "a killed run repeats at most the requests in flight, with the same id and body, by which an "
    "endpoint recognizes them.",
    sample=("id", "webhook_id", "event_type", "attempts", "next_attempt_at", "last_error"),
    tables=NOTIFIES + AUDITS + "webhooks= webhook_deliveries=",
)
def job(ctx):
    """Send the deliveries that are due."""
    from jobs_lib.features.webhooks import run

    if ctx.dry_run:
        run.preview(ctx)
    else:
        run.send_due(ctx)
