"""Alert the operator by e-mail and webhook to what needs attention.

At the end of each `run-due` it checks every job, queue and disk, and the relay. You get one alert
for each incident, a daily reminder while it lasts, and a message when it is over. Incidents with
one cause are one alert. Alerts are sent directly, not through the queue of notices. They count
towards the limits of [mail], but no limit delays them.

If a channel does not work, the other one reports it, and the run fails, which the ping of `run-due`
reports. `jobs.py alerts test` sends a test. The run also writes the page of [status].

Killed or run twice: an alert is recorded after it was sent. So none is lost, and the one just sent
may come again.
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
