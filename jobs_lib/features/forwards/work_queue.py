"""The failed forwards as an operator sees them."""
from __future__ import annotations

from jobs_lib.database.values import one_line, words
from jobs_lib.engines.claimed_queue import MailQueue
from jobs_lib.features import queues


class ForwardQueue(MailQueue):
    """Rows of `failed_emails`."""

    queue = queues.FORWARDS
    name, item, what = "forwards", "forward", "forwarded mail"
    table, job = "failed_emails", "retry_forwards"
    done, failed = ("sent",), ("failed",)
    reads = ("envelope_to", "alias_id", "destination_id")
    age, purge = ("finished_at", "created_at"), "purge_failed_emails"
    moments = (("created_at", "came in, after the app's own attempt had failed"),
               ("told_at", "a notice was written"),
               ("finished_at", "ended"))
    needs = "raw_path"
    # when it fails again, its owner is notified again
    reset = ", told_at = NULL, notice_id = NULL"
    notified = ("told_at",)

    def to(self, row: dict) -> str:
        """The recipient."""
        return one_line(row["envelope_to"])

    def other(self, ctx):
        """The notices."""
        return queues.other_mail(ctx, self.queue)

    def reasons_to_cancel(self, ctx, rows: list[dict]) -> dict:
        """Its owner, alias or destination is deleted."""
        from .source import reasons_to_cancel
        return reasons_to_cancel(ctx.db, rows)

    def what_happened(self, ctx, row: dict) -> list[tuple]:
        """Which notice lists it, and what became of that one."""
        found = dict(super().what_happened(ctx, row))
        if row.get("told_at"):
            found["told_at"] = (self._why_not_notified(ctx, row) if row["notice_id"] is None
                                else _notified(ctx.db, row["notice_id"]))
        return list(found.items())

    def _why_not_notified(self, ctx, row: dict) -> str:
        """Without its file it cannot be said which of the two it was."""
        from .failure_notice import is_automatic
        failed = "mail to all addresses of its owner had just failed"
        if is_automatic(ctx.section("spool").dir, row):
            why = "a machine had sent this mail"
        elif self.why_lost(ctx, row) is None:
            why = failed
        else:
            why = f"{failed}, or a machine had sent this mail"
        return f"no notice was written: {why}"

    def why_lost(self, ctx, row: dict) -> str | None:
        """Its raw message is not in the spool."""
        import os

        from jobs_lib.engines import spool
        try:
            path = spool.locate(ctx.section("spool").dir, row["raw_path"])
        except spool.SpoolError as error:
            return str(error)
        if os.path.isfile(path):
            return None
        return f"its raw message {row['raw_path']} is missing from the spool"


def _notified(db, id) -> str:
    """What `told_at` means."""
    notice = db.row("SELECT status, sent_at FROM {notifications} WHERE id = :id", id=id)
    if notice is None:
        state = "which is deleted by now"
    elif notice["status"] == "sent":
        state = f"sent at {notice['sent_at']} UTC" if notice["sent_at"] else "sent"
    else:
        state = {"pending": "waiting", "sending": "being sent"}.get(
            notice["status"], one_line(words(notice["status"])))
    return f"a notice to its owner was written: notification {id}, {state}"


QUEUE = ForwardQueue()
