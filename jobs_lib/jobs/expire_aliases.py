"""Deactivate aliases past their end, and notify their owners.

An alias may have an end (`expires_at`), for a trial or a trip. An active one that is past it is
deactivated, with a row in the audit log; nothing else about it changes, and its owner can give it
another end and switch it on again. The owner is notified 3 days before, of all such aliases in one
notice, once for each end: an alias whose end was postponed is announced again. They are notified
once more when it has happened. If cron was so late that the end has passed unannounced, only the
second notice is written, and none at all a week after the end, as on a first run. An app that sets
a new end also sets `expiry_notified_at` to NULL; without that, a notice that is younger than the
new span counts for it too.

Aliases of suspended and of deleted accounts are deactivated too, without a notice. Where more than
a fifth of the active aliases, and more than 5, would end at once, none does until an operator
confirms it: that may be a mistake. The same holds while the clock is in doubt.

Killed or run twice: an owner's aliases are deactivated in one commit with their audit rows and the
notice, so each has exactly one row for each time it ended, and is announced at most once.
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
