"""Retry failed webhook deliveries on the 1m, 5m, 30m, 2h schedule.

An event that the app could not deliver to an endpoint waits in `webhook_deliveries`. Each delay
counts from the attempt before, the app's own first one included. A request is signed (Standard
Webhooks), goes to public addresses only and follows no redirect; 2xx is a success. 429 and 503 may
say how long to wait. The last attempt ends a delivery, unless endpoints of other owners have
accepted nothing either since its first one: then it is tried every two hours, for a day more.

After 5 days without a success an endpoint is disabled, its owner warned two days before; after a
410 it is at the end of the run. What waits for it is cancelled. Where the endpoints of many owners
fail, none of that is done: the fault is probably ours.

Owners take turns. Of 8 requests in flight an endpoint has one, a host two, an owner half while
others wait, failing endpoints a quarter while working ones wait. An endpoint that did not answer,
or answered ten errors in a row, is paused for a minute: its other deliveries lose no attempt.

Killed or run twice: a row is marked `sending`, its attempt on record, and only then sent. Nothing
is lost, and at most the requests in flight are sent again, with the same id and body, by which an
endpoint recognizes them.
"""
from __future__ import annotations

from jobs_lib.catalogue import AUDITS, NOTIFIES, declare
from jobs_lib.config.option_types import Option, duration, several


@declare(
    schedule="* * * * *", priority="high", sections=("webhooks", "personas"),
    options={
        "delays": Option(several(duration), "1m, 5m, 30m, 2h",
                         "The delay before each retry, counted from the attempt before; the first "
                         "attempt is the app's. There are as many retries as delays."),
    },
    sample=("id", "webhook_id", "event_type", "attempts", "next_attempt_at", "last_error"),
    tables=NOTIFIES + AUDITS + "webhooks= webhook_deliveries= destinations",
)
def job(ctx):
    """Send the deliveries that are due."""
    from jobs_lib.features.queues import WEBHOOKS, work_to_do
    if ctx.dry_run:
        from jobs_lib.features.webhooks.endpoints import preview
        preview(ctx)
    elif work := work_to_do(ctx, WEBHOOKS, _deliveries):
        from jobs_lib.features.webhooks.dispatcher import Dispatcher
        Dispatcher(ctx, work).send_due()
        work.finish()


def _deliveries() -> type:
    from jobs_lib.features.webhooks.deliveries import Deliveries
    return Deliveries
