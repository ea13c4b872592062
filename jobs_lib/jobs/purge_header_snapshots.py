"""Delete header snapshots that are past their log's retention.

The encrypted headers of a message are deleted with its log row (purge_message_logs). This job
deletes those whose row was deleted in any other way, those of rows that are past
`[purge_message_logs] keep`, and, if its own `keep` is shorter, those past that.

If more than a fifth of the snapshots, and more than ten, have no log row, the log is probably lost
or another database's. Then they are kept until you confirm it.

Killed or run twice: each batch is one commit, and the next run continues with what is left.
"""
from __future__ import annotations

from jobs_lib.catalogue import declare
from jobs_lib.config.option_types import Option, duration, optional, or_empty


@declare(
    schedule="11 4 * * *", priority="low",
    options={"keep": Option(or_empty(optional(duration)), "", "How long headers are kept, counted "
                            "from their log row, if that is shorter than `[purge_message_logs] "
                            "keep`. Empty or `off`: as long as the log row.")},
    sample=("id", "message_log_id", "user_id", "created_at"),
    tables="message_logs header_snapshots-",
)
def job(ctx):
    """Delete what has no log row, or one that is too old."""
    from jobs_lib.features.message_logs import purge_headers
    return purge_headers(ctx)
