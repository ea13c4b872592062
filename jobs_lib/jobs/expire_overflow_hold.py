"""Delete held messages after 30 days, never without a warning before.

A message that came in over an account's limit is held until its owner releases it. A day before its
time is up the owner is warned: one warning a day lists all such messages. A message is deleted 24
hours after its warning was sent, or later. If the warning is refused, it goes to the owner's next
verified address. If all refuse it, or the owner is suspended, the message is deleted after twice
the time, 60 days.

A released message is deleted with its file 7 days later.

Killed or run twice: a message is marked in the commit that queues its warning, so each is listed
once. Each DELETE checks again that the warning was sent in time. Files are deleted just before the
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
            "is deleted within 24 hours of its warning, so less than 1d only keeps it longer."),
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
