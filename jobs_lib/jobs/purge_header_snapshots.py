"""Delete header snapshots that are past their log's retention.

The encrypted headers of a message are worth no more than its log row, so they are kept no longer:
as long as `[purge_message_logs] keep` says, or the owner's own retention if that is shorter. Mostly
they are deleted with their row. This job deletes those whose row was deleted in any other way, and
those of rows that are past their retention and still there. Where logs are kept for ever (that
job's `keep = off`, or `enabled = no`), this job's own `keep` alone decides.

If more than half of the snapshots, and more than 10,000, have no log row, the log is probably lost
or another database's: then nothing is deleted before it is confirmed.

Crash safety: rows are deleted in small commits, and the next run continues with what is left.
"""
from __future__ import annotations

from jobs_lib.config import option_types as kind
from jobs_lib.config.option_types import Option
from jobs_lib.job import declare


@declare(
    schedule="11 4 * * *", priority="low",
    options={"keep": Option(kind.or_empty(kind.optional(kind.duration)), "",
                            "How long headers are kept, counted from their log row; at most, and "
                            "if empty, as long as `[purge_message_logs] keep`. `off`: as long as "
                            "the log row.")},
    idempotency="Which rows are deleted is decided by their log rows alone, and each batch is one "
    "commit: a killed or repeated run finds what is left and continues.",
    sample=("id", "message_log_id", "user_id", "created_at"),
    tables="users message_logs header_snapshots-",
)
def job(ctx):
    """Take the shorter of the two retentions, and delete what is past it or has no log row."""
    from jobs_lib.features.message_logs import header_snapshots

    own, other = ctx.options.keep, ctx.options_of("purge_message_logs")
    logs = other.keep if other.enabled else None
    if own is None or (own == "" and logs is None):
        return header_snapshots.purge(ctx, None, "")
    if own == "" or (logs is not None and logs <= own):
        return header_snapshots.purge(ctx, logs, "[purge_message_logs] keep")
    return header_snapshots.purge(ctx, own, "[purge_header_snapshots] keep")
