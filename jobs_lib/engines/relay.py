"""Whether all mail is paused, since the relay cannot be used for now: one row, for all
processes."""
from __future__ import annotations

from datetime import datetime, timedelta

from jobs_lib.database import stored

FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=1)


def pause_now(db, now) -> dict | None:
    """`paused_until`, `reason`, `since` and `failures` (pauses in a row) of a pause."""
    row = db.row("SELECT paused_until, reason, since, failures FROM {relay_state} WHERE id = 1")
    until = row and stored.time(row["paused_until"])         # what is no time is no pause
    if not until or until <= now or until > now + LONGEST_PAUSE:
        # later than any pause: the clock was wrong
        return None
    return row


def paused(db, now) -> str | None:
    """`until 12:05 UTC: reason` while the relay is paused."""
    row = pause_now(db, now)
    return f"until {row['paused_until']} UTC: {row['reason']}" if row else None


def pause(db, now, reason: str, quota: bool) -> datetime:
    """Pause all mail: an hour for the relay's own limit, else 5 minutes, doubled each time, up to
    an hour. Until when."""
    row = (db.row("SELECT failures, since FROM {relay_state} WHERE id = 1")
           or {"failures": 0, "since": None})
    doubled = FIRST_PAUSE * 2 ** min(row["failures"], 10)
    until = now + (LONGEST_PAUSE if quota else min(doubled, LONGEST_PAUSE))
    db.upsert("relay_state", {"id": 1}, {
        "paused_until": until, "reason": reason[:250], "since": row["since"] or now,
        "failures": row["failures"] + 1})
    return until


def lift(db) -> bool:
    """End a pause early, once what was wrong is fixed. Whether there was one."""
    return db.execute("UPDATE {relay_state} SET paused_until = NULL WHERE id = 1"
                      " AND paused_until IS NOT NULL") == 1


def works(db, now) -> None:
    """A message went through: the next failure starts with a short pause again. A pause that
    another process has begun meanwhile stays."""
    db.execute("UPDATE {relay_state} SET paused_until = NULL, reason = NULL, since = NULL, "
               "failures = 0 WHERE id = 1 AND failures > 0 AND (paused_until IS NULL "
               "OR paused_until <= :now)", now=now)
