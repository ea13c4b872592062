"""Delete expired verification tokens and unverified destinations.

An expired verification token is deleted. If a destination is not verified after 3 days, its owner
is reminded once, at the address of the account. After 30 days it is removed, unless that is
switched off, and never without a warning. This is written 3 days before; the 3 days count from when
it was sent. If it is refused, it goes to the owner's next verified address. If all refuse it, or
the owner is suspended, the destination is removed after twice the time.

A destination is never removed while an alias uses it or a queued forward is addressed to it. If
more than a fifth of all destinations, and more than 5, would be removed, none is, and nobody is
warned, until you confirm it: it may be a mistake.

Killed or run twice: a destination is marked in the commit that queues its notice. It is deleted in
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
