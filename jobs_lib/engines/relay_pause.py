"""Whether all mail is paused: a tick asks that, without what the limits of the relay need."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.database import stored

LONGEST_PAUSE = timedelta(hours=1)


def pause_now(db, now) -> dict | None:
    """`paused_until`, `reason`, `since` and `failures` (pauses in a row) of a pause."""
    row = db.row("SELECT paused_until, reason, since, failures FROM {relay_state} WHERE id = 1")
    until = row and stored.time(row["paused_until"])         # what is no time is no pause
    if not until or until <= now or until > now + LONGEST_PAUSE:
        # later than any pause: the clock was wrong
        return None
    return row
