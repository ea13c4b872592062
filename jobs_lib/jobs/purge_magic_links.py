"""Delete sign-in links that have expired, or were used a day ago.

An expired link opens nothing, so the next run deletes it, whatever the options say. A used one is
kept for a day: it can explain why a second click was refused.

Killed or run twice: each batch is one commit, and the next run finds what is left by its age.
"""
from __future__ import annotations

from . import Rule, keep, purge

job = purge(
    table="magic_links", schedule="41 2 * * *",
    options={"keep_used": keep("1d", "How long a link is kept after it was used, if it has not "
                               "expired before.")},
    rules=(
        Rule("expires_at", option=None),
        Rule("used_at", option="keep_used"),
    ),
    sample=("id", "user_id", "created_at", "expires_at", "used_at"),
)
