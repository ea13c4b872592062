"""Delete message logs after 90 days and keep their totals.

A log row says who got how much mail when; nobody needs that of each message for ever. When rows are
deleted, their totals by user, alias, day, direction and status are added to `message_stats`, so
sums are the same before and after. The encrypted headers of a message are deleted with its row.

Users may choose a shorter time (`users.log_retention_days`), but not less than 3 days.

Killed or run twice: totals, headers and rows change in one small commit. So each message is counted
exactly once, and the next run continues with what is left.
"""
from __future__ import annotations

from . import Rule, keep, purge


def _run(ctx, declared) -> dict:
    from jobs_lib.features.message_logs import purge_logs
    return purge_logs(ctx, declared)


job = purge(
    table="message_logs", schedule="43 1 * * *",
    options={"keep": keep("90d", "How long a row is kept before only its totals are left. Users "
                                 "may choose a shorter time, at least 3 days. `off` keeps all "
                                 "rows, even of users who chose one.")},
    rules=(Rule("created_at"),), work=_run,
    tables="users header_snapshots-",
    sample=("id", "direction", "status", "bytes_used", "created_at"),
)
