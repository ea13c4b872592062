"""Alert the operator by e-mail and webhook to what needs attention.

It looks at every job, queue and disk and at the relay, last of all in each tick: jobs that keep
failing, are late or were killed often, queues that stand still, mail that is paused, a disk that is
nearly full, audit rows that cannot be archived. There is one alert for each incident, a daily
reminder while it lasts, and a message when it is resolved. Incidents with one cause are one alert.
Alerts are sent directly, not by the queue of notices, and count in the relay's limits without being
held back by them.

A channel that does not work is reported by the other one, and by `jobs.py status`. `--set try=yes`
sends a test.

Crash safety: an alert is sent first and recorded then, for each channel by itself, so none is lost,
and one may come twice.
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
    idempotency="What each channel has reported of an incident is in its row, so a second run "
    "reports nothing again; a killed one may repeat the one alert that it had just sent.",
    sample=("state", "kind", "subject", "since", "last_error"),
)
def job(ctx):
    """Look at everything, and report what was not reported yet."""
    from jobs_lib.monitoring import alerts

    if ctx.dry_run:
        return alerts.preview_test(ctx) if getattr(ctx.options, "try") else alerts.preview(ctx)
    counts = ctx.counts
    if getattr(ctx.options, "try"):
        alerts.test(ctx, counts)
    else:
        alerts.check(ctx, counts)
    return counts
