"""Retry failed webhook deliveries on the 1m, 5m, 30m, 2h schedule.

An event that the app could not deliver waits in `webhook_deliveries`. Each delay counts from the
attempt before, the app's own included. A request is signed (Standard Webhooks), goes to public
addresses only and follows no redirect. 2xx is a success; 429 and 503 may say how long to wait. A
delivery fails after the last attempt. But if endpoints of other owners have accepted nothing either
meanwhile, it is tried every two hours for another day.

An endpoint is disabled after 5 days without a success, its owner warned two days before, or at the
end of the run after a 410. What waits for it is cancelled. If endpoints of many owners fail, none
of that is done: the fault is probably ours.

Owners take turns. Of 8 open requests an endpoint may have one, a host two, an owner half while
others wait, and failing endpoints a quarter while working ones wait. An endpoint that did not
answer, or answered ten errors in a row, is paused for a minute; its other deliveries lose no
attempt.

Killed or run twice: a row is marked `sending`, its attempt is recorded, and only then it is sent.
Nothing is lost. At most the open requests are sent again, each with the same id and body, by which
an endpoint recognizes it.
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
