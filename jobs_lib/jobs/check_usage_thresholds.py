"""Notify users who have used 60, 70, 80 or 100 % of a limit.

Usage is counted in billing cycles, which begin at 00:00 UTC on the day of `users.billing_anchor`
(if empty: of `created_at`); 29, 30 and 31 become the last day of a shorter month. There are two
limits, bytes and e-mails; NULL is no limit. The closer the end of the cycle, the less a low share
means: 60 % counts only in the first half, 70 % until 70 % of the cycle have passed, 80 and 100 %
always. A limit of 0, or below, is used up by the first message.

Each crossed threshold is one row in `usage_events` for each cycle. A changed limit removes no row;
it applies to the next ones. A user gets one notice of all that is new; it names the highest
threshold of each limit. Suspended users get the rows and no notice, deleted ones neither. A cycle
that ended within 48 hours is checked too, so its last hours count, but without a notice.

It reads the totals of `usage_daily`, never the logs. If these are late, so is this.

Killed or run twice: a user's rows and the notice about them are one commit. Each row has a unique
key.
"""
from __future__ import annotations

from jobs_lib.catalogue import NOTIFIES, declare
from jobs_lib.config.option_types import Kind, Option, integer, several, switch


def _threshold(value: str) -> tuple:
    """(percent, until which percent of the cycle it counts, or None for always) of `60:50` or
    `80`."""
    percent, colon, until = (word.strip() for word in value.partition(":"))
    number = integer(1, 100).parse
    return number(percent), number(until) if colon else None


def _distinct(value: str) -> tuple:
    found = _LIST.parse(value)
    if len({percent for percent, _ in found}) < len(found):
        raise ValueError("expected each percentage once")
    return tuple(sorted(found))


_LIST = several(Kind(_threshold))


@declare(
    schedule="17 * * * *", sections=("personas",),
    options={
        "thresholds": Option(_LIST._replace(parse=_distinct), "60:50, 70:70, 80, 100",
            "Percentages of a limit to record and notify at; after a colon, up to which percentage "
            "of the billing cycle they count. 60:50 counts in the first half only."),
        "notify": Option(switch, "yes", "Notify users. no: only usage_events is written."),
    },
    sample=("user_id", "metric", "threshold", "used", "limit_value", "elapsed_percent",
            "cycle_start"),
    tables=NOTIFIES,
)
def job(ctx):
    """Page after page of users who have a limit."""
    from jobs_lib.features import thresholds
    ctx.counts.update(users=0, events=0, notices=0)
    thresholds.check(ctx)
    return ctx.counts
