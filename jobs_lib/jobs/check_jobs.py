"""Tell the operator by e-mail and webhook what needs somebody.

It looks at every job, queue, disk and at the relay, last of all in each tick: jobs that fail again
and again, are late or were killed often, queues that stand still, mail that rests, a disk that is
nearly full, audit rows that cannot be archived. One alert for each incident, a daily reminder while
it lasts, and a message when it is resolved. What has one cause is one alert. Alerts go straight
out, not by the queue of notices, and count in the relay's limits without being held back by them.

A channel that does not work is told of by the other one, and by `jobs.py status`. `--set try=yes`
sends a test.

Killed at any point: an alert is sent first and recorded then, each channel by itself, so none is
lost, and one may come twice.
"""
from __future__ import annotations

from jobs_lib.config import option_types as kind
from jobs_lib.config.option_types import argument
from jobs_lib.job import declare


@declare(
    schedule="*/5 * * * *", priority="last", budget="1m", sections=("alerts",),
    options={
        "try": argument(kind.switch, "no", "For --set try=yes: send a test alert by each channel, "
                        "and do nothing else."),
    },
    idempotency="What each channel has told of a trouble stands in its row, so a second run tells "
    "nothing again; a killed one may repeat the one alert that it had just sent.",
    sample=("state", "kind", "subject", "since", "last_error"),
)
def job(ctx):
    """Look at everything, and tell what was not told yet."""
    from jobs_lib.monitoring import alerts

    if ctx.dry_run:
        return alerts.preview_test(ctx) if getattr(ctx.options, "try") else alerts.preview(ctx)
    counts = ctx.counts
    if getattr(ctx.options, "try"):
        alerts.test(ctx, counts)
    else:
        alerts.check(ctx, counts)
    return counts
