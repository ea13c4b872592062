"""Delete notices that were sent or given up after 90 days.

The 90 days count from `created_at`. What waits to be sent is never touched, however old it is. No notice is
repeated because its row is gone: what was told is marked where it belongs, at the alias, the destination, the
held message.

One kind is still needed: held mail goes 24 hours after the notice that lists it was *sent*, so that notice stays
as long as mail that nobody released refers to it, also where the two retentions do not fit each other.

Killed at any point: each batch is one commit, and the next run finds what is left by its age.
"""
from __future__ import annotations

from ..recipes.retention import Rule, keep, purge


def _announces_no_mail(_ctx) -> tuple[str, dict]:
    # Not EXISTS: MariaDB would turn that round and read all of the held mail first, for each batch.
    return ("(SELECT MIN(id) FROM {overflow_hold} WHERE {overflow_hold}.warning_id = {notifications}.id"
            " AND {overflow_hold}.released_at IS NULL) IS NULL"), {}


job = purge(
    table="notifications", schedule="53 2 * * *",
    options={"keep": keep("90d", "How long a notice is kept after it was queued, if it was sent or given up.")},
    rules=(
        Rule("created_at", only={"status": "sent"}, also=_announces_no_mail),
        Rule("created_at", only={"status": "failed"}, also=_announces_no_mail),
    ),
    sample=("id", "kind", "to_email", "status", "created_at", "finished_at"),
)
