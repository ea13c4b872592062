"""Send queued notices by mail, urgent ones first, within the limits.

A notice waits in `notifications`, written by a job or by the app. Urgent ones of all users are sent
first, within the share of each limit that is reserved for them. Then users take turns, each user's
notices by priority. Users who have opted out of a kind get none of it, unless it is one that is
always sent.

A refused notice is retried on a schedule. It ends as `failed` after the last attempt, or after a
second permanent refusal while others' mail is accepted. If the relay itself fails, mail is paused
and no attempt is used up. The text of a sent notice is deleted.

Killed or run twice: a row is marked `sending`, its attempt is recorded, and only then it is sent.
Nothing is lost. At most the one notice in flight is sent again, with the same bytes and Message-ID.
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
    tables="users failed_emails= export_requests overflow_hold",
)
def job(ctx):
    """Send the notifications that are due."""
    from jobs_lib.features import queues
    if failure := queues.send_mail(ctx, queues.NOTICES, _source):
        raise failure


def _source(ctx):
    from jobs_lib.features.notifications.outbox import Notices
    return Notices(ctx)
