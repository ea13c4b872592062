"""Delete held messages after 30 days, never without a warning before.

A message that came in over an account's limit is held for its owner to release. A day before its
time is up the owner is warned, once a day for all such messages: the warning lists each of them. It
is deleted 24 hours after that warning was sent, at the earliest, however late cron or the mail may
be. A warning that is refused is sent to the owner's next verified address. Where all of them refuse
it, or the owner is suspended, the message is deleted after twice the time, 60 days: it must not be
kept for ever.

A released message is left alone, and deleted with its file 7 days later.

Killed or run twice: a message is marked as warned of in the commit that queues its warning, so each
is listed once; each DELETE judges again that it was sent in time. Files are deleted just before the
commit.
"""
from __future__ import annotations

from jobs_lib.catalogue import NOTIFIES
from jobs_lib.config.option_types import Option, duration

from . import Rule, keep, purge


def _run(ctx, declared) -> dict:
    from jobs_lib.features.expiry import expire_held
    return expire_held(ctx, declared)


def _is_warned(ctx, keep) -> tuple[str, dict]:
    from jobs_lib.features.expiry import is_warned
    return is_warned(ctx, keep)


job = purge(
    table="overflow_hold", files="raw_path", schedule="31 * * * *", priority="normal",
    sections=("personas",),
    options={
        "keep": keep("30d", "How long a message is held before it is deleted, unless its owner "
                     "releases it."),
        "warn_before": Option(duration, "1d", "How long before that its owner is warned. Nothing "
        "is deleted within 24 hours of its warning, so less than 1d only keeps messages longer."),
        "keep_released": keep("7d", "How long a message is kept after its owner has released it."),
    },
    rules=(
        Rule("held_at", "released_at IS NULL", also=_is_warned),
        Rule("released_at", option="keep_released"),
    ),
    work=_run,
    tables=NOTIFIES + "aliases destinations overflow_hold=",
    sample=("id", "user_id", "size_bytes", "held_at", "warned_at", "released_at"),
)
