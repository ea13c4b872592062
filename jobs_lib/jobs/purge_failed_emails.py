"""Delete finished forwards and their spool files after 7 days.

A forward is finished when it was sent or has failed; the 7 days count from then. A queued one is
never deleted, however old it is. If its owner was not notified of a failure yet, the row waits for
the notice, but only a day: a notice that cannot be written must not keep people's mail for ever.

A spool file is deleted with the last row that names it, of held or quarantined mail, too.

Killed or run twice: rows are deleted in small commits, and their files just before each commit. A
kill between the two leaves rows past their time, which the next run deletes.
"""
from __future__ import annotations

from datetime import timedelta

from . import Rule, keep, purge

DAY = timedelta(days=1)

job = purge(
    table="failed_emails", files="raw_path", schedule="37 3 * * *",
    options={"keep": keep("7d", "How long a forward is kept, with its raw message, after it was "
                                "sent or failed for good.")},
    rules=(
        Rule("finished_at", "status = 'sent'"),
        Rule("finished_at", "status = 'failed' AND notified_at IS NOT NULL"),
        Rule("finished_at", "status = 'failed' AND notified_at IS NULL", later=DAY),
        # an app may have ended a row without saying when
        Rule("created_at", "status = 'sent' AND finished_at IS NULL"),
        Rule("created_at", "status = 'failed' AND finished_at IS NULL", later=DAY),
    ),
    sample=("id", "status", "envelope_to", "created_at", "finished_at", "size_bytes"),
)
