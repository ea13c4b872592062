"""Retry failed forwards on the 1h, 6h, 24h, 48h schedule.

A forward that the mail hook could not deliver waits in `failed_emails`, one row for each recipient;
its raw bytes are in the spool. Each delay counts from the attempt before, so the attempts are made
1, 7, 31 and 79 hours after the first failure. A forward fails after the last attempt, after an
attempt past the seventh day, or after a second permanent refusal (5xx) while others' mail is
accepted. Its owner is notified, once a day. The sender never gets a bounce.

If the relay itself fails (no connection, no login, its quota), mail is paused and no attempt is
used up.

Killed or run twice: a row is marked `sending`, its attempt is recorded, and only then it is sent.
Nothing is lost. At most the one message in flight is sent again, with the same bytes and
Message-ID.
"""
from __future__ import annotations

from jobs_lib.catalogue import NOTIFIES, declare
from jobs_lib.config.option_types import Option, duration, several


@declare(
    schedule="*/5 * * * *", priority="critical", sections=("mail", "spool", "personas"),
    options={
        # RFC 5321 4.5.4.1 asks for 30 minutes at least between two attempts.
        "delays": Option(several(duration), "1h, 6h, 24h, 48h",
                         "The delay before each attempt, counted from the one before. There are as "
                         "many attempts as delays."),
    },
    sample=("id", "envelope_to", "attempts", "next_attempt_at", "last_error"),
    tables=NOTIFIES + "aliases destinations failed_emails=",
)
def job(ctx):
    """Send what is due; notify the owners of what has finally failed."""
    from jobs_lib.engines import spool
    from jobs_lib.features import forwards, queues
    spool.need_folder(ctx.db, ctx.section("spool").dir)
    failure = queues.send_mail(ctx, queues.FORWARDS, _source)
    forwards.notify_owners(ctx)
    if failure:
        raise failure


def _source(ctx):
    from jobs_lib.features.forwards.source import Forwards
    return Forwards(ctx)
