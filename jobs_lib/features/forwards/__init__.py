"""Forwards that failed: sent again, with the notice to the owner when that is over; SRS and the
loop mark."""
from __future__ import annotations

from datetime import timedelta

LATELY = timedelta(hours=1)     # a notice was refused: a few runs see it


def notify_owners(ctx) -> None:
    """Queue the notices that are owed for what has finally failed, and send those on that were
    refused just now. Most runs owe none, and load nothing."""
    if ctx.dry_run or ctx.db.row(
            "SELECT id FROM {failed_emails} WHERE status = 'failed' AND notified_at IS NULL "
            "AND (notice_id IS NULL OR (SELECT finished_at FROM {notifications} WHERE "
            "{notifications}.id = {failed_emails}.notice_id AND {notifications}.status = "
            "'failed') > :lately) LIMIT 1", lately=ctx.now - LATELY):
        from jobs_lib.features.notifications.reminders import remind

        from .failure_notice import FAILED
        remind(ctx, FAILED)
