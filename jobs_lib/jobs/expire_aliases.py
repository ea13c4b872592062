"""Deactivate aliases past their end, and notify their owners.

An alias may have an end (`expires_at`), for a trial or a trip. When it has passed, the alias is
deactivated, with a row in the audit log. Nothing else about it changes: its owner can set another
end and switch it on again. The owner gets a notice 3 days before, and another one afterwards; each
lists all such aliases. If cron was so late that the end passed without the first, only the second
is written; more than a week after the end, as on a first run, none. If your app sets a new end, it
also sets `expiry_notified_at` to NULL, and the new end is announced. Without that, a notice that is
younger than the new span counts for it, too.

Aliases of suspended and deleted accounts are deactivated without a notice. If more than a fifth of
the active aliases, and more than 5, would end at once, none does until you confirm it: it may be a
mistake. None ends while the clock is in doubt.

Killed or run twice: an owner's aliases are deactivated in one commit with their audit rows and the
notice. So each has one audit row for each time it ended, and is announced at most once.
"""
from __future__ import annotations

from jobs_lib.catalogue import AUDITS, NOTIFIES, declare
from jobs_lib.config.option_types import Option, duration, optional, switch


@declare(
    schedule="23 * * * *", sections=("personas",),
    options={
        "warn_before": Option(optional(duration), "3d", "How long before an alias expires to "
            "notify its owner. off: never."),
        "notify_expired": Option(switch, "yes", "Notify owners when an alias is deactivated."),
    },
    sample=("id", "user_id", "address", "expires_at"),
    tables=NOTIFIES + AUDITS + "aliases=",
)
def job(ctx):
    """First what has ended, then what is about to."""
    from jobs_lib.features.expiry import expire_aliases
    ctx.counts.update(expired=0, notices=0)
    if ctx.may_expire():
        expire_aliases(ctx)
    return ctx.counts
