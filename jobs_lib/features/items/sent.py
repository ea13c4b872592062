"""What is sent: forwards, notices, webhook deliveries."""
from __future__ import annotations

import os

from jobs_lib.database.values import one_line
from jobs_lib.engines import limits
from jobs_lib.engines.items import Items
from jobs_lib.features import queues

NOT_KEPT = "its text was deleted then"


class Mail(Items):
    """What leaves by the relay: forwards and notices."""

    done = ("sent",)

    def holds(self, ctx) -> list[str]:
        """The relay, too, by the room that a run has."""
        return super().holds(ctx) + limits.holds(
            ctx, self.queue.kind, queues.other_mail(ctx, self.queue))

    def pace(self, ctx):
        """Half of what the relay's limits allow."""
        mail = ctx.section("mail")
        return max([super().pace(ctx), *(2 * span / limit for name, span in limits.WINDOWS
                                         if (limit := getattr(mail, f"per_{name}")) is not None)])


class Forwards(Mail):
    """Rows of `failed_emails`."""

    queue, what = queues.FORWARDS, "forwarded mail"
    reads = ("envelope_to", "alias_id", "destination_id")
    needs = ("raw_path",)
    age, purge = ("finished_at", "created_at"), "purge_failed_emails"
    moments = (("created_at", "came in, after the app's own attempt had failed"),
               ("notified_at", ""), ("finished_at", "ended"))
    # when it fails again, its owner is notified again
    reset, notified = ("notified_at", "notice_id"), ("notified_at",)

    def to(self, row: dict) -> str:
        """The recipient."""
        return row["envelope_to"]

    def reasons_to_cancel(self, ctx, found: list[dict]) -> dict:
        """Its owner, alias or destination is missing."""
        from jobs_lib.features.forwards.source import reasons_to_cancel
        return reasons_to_cancel(ctx.db, found)

    def what_happened(self, ctx, row: dict) -> list[tuple]:
        """By which notice its owner was notified."""
        return [(column, what or _notified(row["notice_id"])) for column, what in self.moments]

    def why_lost(self, ctx, row: dict) -> str | None:
        """Its raw message is not in the spool."""
        from jobs_lib.engines import spool
        try:
            path = spool.locate(ctx.section("spool").dir, row["raw_path"])
        except spool.SpoolError as error:
            return str(error)
        if os.path.isfile(path):
            return None
        return f"its raw message {row['raw_path']} is missing from the spool"


def _notified(id) -> str:
    """What `notified_at` means."""
    return f"its owner was notified: notification {id}" if id else "no notice was due"


class Notices(Mail):
    """Rows of `notifications`."""

    queue, what = queues.NOTICES, "notices"
    reads = ("kind", "to_email", "priority")
    needs = ("CASE WHEN body_text IS NULL AND body_html IS NULL THEN 0 ELSE 1 END AS whole",)
    purge = "purge_notifications"
    moments = (("created_at", "was queued"), ("sent_at", "was sent"), ("finished_at", "ended"))

    def to(self, row: dict) -> str:
        """What it is about, and its recipient."""
        return f"{one_line(row['kind'])} to {one_line(row['to_email'])}"

    def reasons_to_cancel(self, ctx, found: list[dict]) -> dict:
        """Its account is missing, or its owner does not want this kind."""
        from jobs_lib.features.notifications.outbox import unwanted
        return unwanted(ctx.db, found)

    def why_lost(self, ctx, row: dict) -> str | None:
        """Its text is not kept."""
        if row["status"] == "sent":
            return f"it was sent, and {NOT_KEPT}"
        return None if row["whole"] else f"it was cancelled, and {NOT_KEPT}"


class Deliveries(Items):
    """Rows of `webhook_deliveries`."""

    queue, what = queues.WEBHOOKS, "webhook deliveries"
    done = ("delivered",)
    reads = ("webhook_id", "event_type")
    needs = ("CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS whole",)
    purge = "purge_webhook_deliveries"
    moments = (("created_at", "came in"), ("finished_at", "ended"))

    def to(self, row: dict) -> str:
        """The endpoint, and the event."""
        event = one_line(row["event_type"])
        return f"endpoint {one_line(row['webhook_id'])}{event and ', '}{event}"

    def reasons_to_cancel(self, ctx, found: list[dict]) -> dict:
        """Its account or endpoint is deleted, or the endpoint is disabled."""
        from jobs_lib.features.webhooks import endpoints
        return endpoints.reasons_to_cancel(ctx.db, found)

    def reasons(self, ctx, waits: list[dict]) -> dict:
        """Its endpoint is paused."""
        from jobs_lib.features.webhooks import endpoints
        known = endpoints.current(ctx.db, {row["webhook_id"] for row in waits})
        paused = {id: endpoint["paused_until"] for id, endpoint in known.items()
                  if endpoints.is_paused(endpoint, ctx.now)}
        return {row["id"]: f"its endpoint is paused until {paused[id]} UTC" for row in waits
                if (id := row["webhook_id"]) in paused}

    def why_lost(self, ctx, row: dict) -> str | None:
        """Its payload is not kept."""
        return None if row["whole"] else "its payload was deleted"
