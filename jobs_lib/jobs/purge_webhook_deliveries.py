"""Delete finished webhook deliveries after 30 days.

A delivery is finished when it was delivered or has failed. The 30 days count from the event
(`created_at`); until then it can be looked up and replayed. A queued one is never deleted, however
old it is, and a replayed one is queued again.

Killed or run twice: each batch is one commit, and the next run finds what is left by its age.
"""
from __future__ import annotations

from . import Rule, keep, purge

job = purge(
    table="webhook_deliveries", schedule="7 3 * * *",
    options={"keep": keep("30d", "How long a finished delivery is kept, counted from its event.")},
    rules=(
        Rule("created_at", "status = 'delivered'"),
        Rule("created_at", "status = 'failed'"),
    ),
    sample=("id", "webhook_id", "event_type", "status", "attempts", "created_at", "finished_at"),
)
