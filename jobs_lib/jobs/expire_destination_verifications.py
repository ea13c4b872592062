"""Delete expired verification tokens and unverified destinations.

A token that was mailed to prove that a destination is its owner's is deleted when it has expired.
Anyone who has left a destination unverified for 3 days is reminded, once, at the address of the
account: the destination itself belongs to nobody yet. After 30 days such a destination is removed,
unless that is switched off, and never without a warning: it is written 3 days before, and the 3
days count from when it was sent, however late cron or the mail may be. A warning that is refused is
sent to the owner's next verified address. Where all of them refuse it, or the owner is suspended,
the destination is removed after twice the time.

A destination that an alias uses is never removed, nor one that a queued forward is addressed to.
Where more than a fifth of all destinations, and more than 5, would be removed, none is, and nobody
is warned, until an operator confirms it: that may be a mistake.

Killed or run twice: a destination is marked in the commit that queues its notice, and is deleted in
one commit with its tokens and its audit row, if its warning was sent in time.
"""
from __future__ import annotations

from jobs_lib.catalogue import AUDITS, NOTIFIES, declare
from jobs_lib.config.option_types import Option, duration, optional


@declare(
    schedule="47 4 * * *", priority="low", sections=("personas",),
    options={
        "remind_after": Option(optional(duration), "3d", "How long a destination is unverified "
                               "before its owner is reminded, once."),
        "remove_after": Option(optional(duration), "30d", "How long it is unverified before it is "
                               "removed, if no alias uses it."),
        "warn_before": Option(duration, "3d", "How long before that the owner is warned; the "
        "warning must have been sent that long ago."),
    },
    sample=("id", "user_id", "destination_id", "email", "created_at", "expires_at"),
    tables=NOTIFIES + AUDITS + "destinations=- alias_destinations destination_verifications- "
    "failed_emails",
)
def job(ctx):
    """Tokens, reminders, notices of removals, removals."""
    from jobs_lib.features.expiry import expire_destinations
    return expire_destinations(ctx)
