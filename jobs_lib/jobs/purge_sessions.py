"""Delete sign-in sessions past their absolute or idle limit.

The app sets the absolute limit in `expires_at`. The next run after it deletes the session, whatever
the options say. A browser that has not come back for 30 days has to sign in again: a session that
nobody uses is only of use to a thief.

Killed or run twice: each batch is one commit, and the next run finds what is left by its age.
"""
from __future__ import annotations

from . import Rule, keep, purge

job = purge(
    table="sessions", schedule="23 2 * * *",
    options={"idle": keep("30d", "How long a session is kept after it was last seen, within its "
                          "absolute limit.")},
    rules=(
        Rule("expires_at", option=None),
        Rule("last_seen_at", option="idle"),
    ),
    sample=("id", "user_id", "created_at", "last_seen_at", "expires_at"),
)
