"""Delete notices that were sent or given up after 90 days.

The 90 days count from `created_at`. What waits to be sent is never touched, however old it is. No
notice is repeated because its row was deleted: that it was sent is marked where it belongs, at the
alias, the destination, the held message.

Two kinds are still needed, also where the retentions do not fit each other. Held mail is deleted 24
hours after the notice that lists it was *sent*, so that notice stays as long as unreleased mail
refers to it. An unverified destination is removed some days after its notice was sent, so such a
notice stays for 60 days at least.

Crash safety: each batch is one commit, and the next run finds what is left by its age.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.engines.rules import Rule, keep, purge

# longer than a notice of a removal counts (features/expiry/destinations.py)
REMOVALS = timedelta(days=60)


def _announces_nothing(ctx) -> tuple[str, dict]:
    # Not EXISTS: MariaDB would turn that round and read all of the held mail first, for each batch.
    return ("(SELECT MIN(id) FROM {overflow_hold} "
            "WHERE {overflow_hold}.warning_id = {notifications}.id"
            " AND {overflow_hold}.released_at IS NULL) IS NULL"
            " AND ({notifications}.kind <> 'destination_removal' "
            "OR {notifications}.created_at < :removals)"), {
                "removals": ctx.now - REMOVALS}


job = purge(
    table="notifications", schedule="53 2 * * *",
    options={"keep": keep("90d", "How long a notice is kept after it was queued, if it was sent or "
                          "given up.")},
    rules=(
        Rule("created_at", only={"status": "sent"}, also=_announces_nothing),
        Rule("created_at", only={"status": "failed"}, also=_announces_nothing),
    ),
    tables="overflow_hold",
    sample=("id", "kind", "to_email", "status", "created_at", "finished_at"),
)
