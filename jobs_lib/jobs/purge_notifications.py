"""Delete sent and failed notices after 90 days.

The 90 days count from `created_at`. A queued notice is never deleted, however old it is. If a
warning is deleted while the held mail or the destination is still there, it is written again: so
keep notices for weeks. No other notice is repeated because its row was deleted.

Killed or run twice: each batch is one commit, and the next run finds what is left by its age.
"""
from __future__ import annotations

from . import Rule, keep, purge

job = purge(
    table="notifications", schedule="53 2 * * *",
    options={"keep": keep("90d", "How long a sent or failed notice is kept, counted from when it "
                                 "was queued.")},
    rules=(
        Rule("created_at", "status = 'sent'"),
        Rule("created_at", "status = 'failed'"),
    ),
    sample=("id", "kind", "to_email", "status", "created_at", "finished_at"),
)
