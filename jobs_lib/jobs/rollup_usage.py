"""Add up e-mails and bytes of each user by day and by week.

Dashboards and bills read `usage_daily` and `usage_weekly` instead of the logs (docs/usage.md). Days
are in UTC, and weeks begin on Monday. Every message counts, whatever its status and direction.

A day is always added up as a whole, from its log rows and the totals that `purge_message_logs`
kept. So it is exact before, during and after a purge, and can be added up again at any time. Each
run does so for the last 48 hours, and from the first day for which a log row came in late. Users
who are missing have no rows.

Whole weeks are deleted once they are past `keep`.

Killed or run twice: a day and its week are one commit, with a note from which day on the others are
due. The next run continues there. A day that is added up again has the same result.
"""
from __future__ import annotations

from jobs_lib.catalogue import declare
from jobs_lib.config.option_types import Option, day, duration, optional, or_empty


@declare(
    schedule="9 * * * *",
    options={
        "keep": Option(optional(duration), "800d", "How long usage is kept, in whole weeks: at "
            "least a billing cycle, and all that your pages show. Earlier days are not added up, "
            "even if they have logs."),
        "from": Option(or_empty(day), "", "With --set from=DAY: add up again from this day on, "
            "even if nothing new came in.", argument=True),
    },
    sample=("day",),
    tables="users message_logs",
)
def job(ctx):
    """Add up the days that are due, and delete what is past its time."""
    from jobs_lib.features import rollup
    return rollup.preview(ctx) if ctx.dry_run else rollup.run(ctx)
