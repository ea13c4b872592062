"""What export_accounts would do, for a dry run."""
from __future__ import annotations

from jobs_lib.engines.rows import count_unknown_status

from . import files, requests
from .link import url

SHOWN = 10


def preview(ctx) -> dict:
    """Show it, and return the counts. How many rows an account has is not counted."""
    count_unknown_status(ctx, "export_requests", requests.STATUSES)
    rows = ctx.db.query(f"SELECT {requests.COLUMNS} FROM {{export_requests}} "
                        "WHERE status = 'queued'"
                        " ORDER BY requested_at, id LIMIT :most", most=ctx.limit
                        or requests.AT_ONCE)
    refused = [row for row in rows if requests.refusal(ctx, requests.owner(ctx, row), row)]
    made = [row for row in rows if row not in refused]
    over = ctx.db.query("SELECT id, status, expires_at, file_bytes FROM {export_requests} "
                        "WHERE status = 'ready'"
                        " AND expires_at <= :now ORDER BY expires_at, id LIMIT :most", now=ctx.now,
                        most=ctx.limit or requests.AT_ONCE)
    trouble = files.misplaced(ctx.section) or ("" if url(ctx) else "set [export] url, or [core] "
                                               "app_url")
    would = trouble and f"a run would fail: {trouble}"
    for title, some, note in (("export {} account{}", made, would), ("refuse {} request{}", refused,
                                                                     ""),
                              ("delete {} export{} whose time is over", over, "")):
        if some:
            ctx.show(title.format(f"{len(some):,}", "s" * (len(some) != 1)), some[:SHOWN], note)
    return {**ctx.counts, "exported": len(made), "expired": len(over), "refused": len(refused)}

