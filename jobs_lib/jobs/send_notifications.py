"""Send queued notices by mail, urgent ones first, within the limits.

A notice waits in `notifications`, written by the jobs or by the app. Urgent ones of all users are
sent first, as far as the share of each limit goes that is reserved for them; then users take turns,
each user's urgent ones before the normal ones and those before low ones. Users who have opted out
of a kind get none of it, unless it is one that is always sent.

A refusal is tried again on a schedule; a second permanent one while others' mail is accepted, or
the last attempt, ends it as `failed`. A failure of the relay itself uses up no attempt: sending is
paused. Bodies are emptied once they are sent.

Killed or run twice: a row is marked `sending`, its attempt on record, and only then sent. Nothing
is lost, and at most the one notice in flight is sent again, with the same bytes and Message-ID.
"""
from __future__ import annotations

from jobs_lib.catalogue import declare
from jobs_lib.config.option_types import Option, duration, several


@declare(
    schedule="*/5 * * * *", priority="critical",
    sections=("mail", "personas", "notifications"),
    options={
        "delays": Option(several(duration), "5m, 15m, 1h, 4h, 12h, 24h, 48h",
                         "The delay before each retry, counted from the attempt before. The first "
                         "attempt is immediate."),
    },
    sample=("id", "kind", "to_email", "priority", "attempts", "created_at", "last_error"),
    tables="users failed_emails=",
)
def job(ctx):
    """Send the notifications that are due."""
    from jobs_lib.features import queues
    if failure := queues.send_mail(ctx, queues.NOTICES, _source):
        raise failure


def _source(ctx):
    from jobs_lib.features.notifications.outbox import Notices
    return Notices(ctx)
