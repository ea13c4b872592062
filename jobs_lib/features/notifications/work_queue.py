"""The notices as an operator sees them."""
from __future__ import annotations

from jobs_lib.database.values import one_line
from jobs_lib.engines.claimed_queue import MailQueue
from jobs_lib.features import queues


class NoticeQueue(MailQueue):
    """Rows of `notifications`."""

    queue = queues.NOTICES
    name, item, what = "notifications", "notification", "notices"
    table, job = "notifications", "send_notifications"
    done, failed = ("sent",), ("failed",)
    reads = ("kind", "to_email", "priority")
    purge = "purge_notifications"
    moments = (("created_at", "was queued"), ("sent_at", "was sent"), ("finished_at", "ended"))
    needs = "CASE WHEN body_text IS NULL AND body_html IS NULL THEN 0 ELSE 1 END AS whole"

    def to(self, row: dict) -> str:
        """What it is about, and its recipient."""
        return f"{one_line(row['kind'])} to {one_line(row['to_email'])}"

    def other(self, ctx):
        """The forwards."""
        return queues.other_mail(ctx, self.queue)

    def reasons_to_cancel(self, ctx, rows: list[dict]) -> dict:
        """Its account is deleted, or its owner does not want this kind."""
        from .outbox import unwanted
        return unwanted(ctx.db, rows)

    def why_lost(self, ctx, row: dict) -> str | None:
        """Its text is not kept."""
        if row["status"] == "sent":
            return "it was sent, and its text was deleted then"
        return None if row["whole"] else "it was cancelled, and its text was deleted then"


QUEUE = NoticeQueue()
