"""Alert the operator by e-mail and webhook to what needs attention.

It looks at every job, queue and disk and at the relay, at the end of each `run-due`. There is one
alert for each incident, a daily reminder while it lasts, and a message when it is resolved.
Incidents with one cause are one alert. Alerts are sent directly, not through the queue of notices;
they count towards the limits of [mail], but no limit delays them.

A channel that does not work is reported by the other one, and makes the run fail, which the ping of
`run-due` reports. `jobs.py alerts test` sends a test. The run also writes the page of [status].

Killed or run twice: an alert is sent first and recorded then, so none is lost, and the one just
sent may come again.
"""
from __future__ import annotations

from jobs_lib.catalogue import declare


@declare(
    schedule="*/5 * * * *", priority="last", budget="1m", sections=("alerts",),
    sample=("state", "kind", "subject", "since", "error"),
)
def job(ctx):
    """Look at everything, and report what was not reported yet."""
    from jobs_lib.monitoring import alerts
    (alerts.preview if ctx.dry_run else alerts.check)(ctx)
    return ctx.counts
