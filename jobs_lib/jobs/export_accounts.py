"""Export accounts as zip files of JSON and CSV, to download for 7 days.

When a user wants a copy of what is stored about them, your app inserts a row into
`export_requests`. The next run reads all of the account's rows as of one moment, and writes them
into one zip: as JSON, exact, and as CSV that is safe in a spreadsheet. The owner gets a link by
mail. It works for 7 days, or until a newer export is ready; then the file is deleted. What is in
the zip, and what the download page has to do: docs/accounts.md.

An account has one export at a time, and two a day; more are refused, and so is a deleted account. A
suspended one waits. After three attempts that were killed or met an error, a request fails, its
owner is notified, and the log has an error.

Killed or run twice: no incomplete file can be downloaded. The next run deletes what was half
written and starts again, also if the file was complete but not yet stored as `ready`.
"""
from __future__ import annotations

from jobs_lib.catalogue import declare
from jobs_lib.config.option_types import Option, integer


@declare(
    schedule="*/5 * * * *", sections=("export", "personas"),
    options={
        "per_day": Option(integer(1, 100), "2", "Exports of one account in 24 hours; further "
            "requests are refused, and the owner is notified."),
    },
    sample=("id", "status", "attempts", "requested_at", "expires_at", "file_bytes"),
    tables="users aliases destinations alias_destinations destination_verifications domains "
    "message_logs header_snapshots overflow_hold spam_quarantine failed_emails webhooks "
    "webhook_deliveries audit_logs sessions magic_links export_requests=",
)
def job(ctx):
    """Expire what is over, then make what waits."""
    if ctx.dry_run:
        from jobs_lib.features.exports.requests import preview
        return preview(ctx)
    from jobs_lib.engines.due import is_idle

    ctx.counts.update(exported=0, expired=0, refused=0, put_off=0, failed=0)
    if is_idle(ctx.db, "export_requests", "queued", "running", "ready"):
        return ctx.counts  # most runs have none to look at, and load no more
    from jobs_lib.engines.queue import work_if_due
    from jobs_lib.features.exports import requests
    from jobs_lib.features.queues import EXPORTS

    requests.expire(ctx)
    if work := work_if_due(ctx, EXPORTS, requests.Requests):
        requests.make_all(work)
    return ctx.counts
