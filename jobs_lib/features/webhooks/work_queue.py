"""The webhook deliveries as an operator sees them."""
from __future__ import annotations

from jobs_lib.database.values import one_line
from jobs_lib.engines.claimed_queue import ClaimedQueue
from jobs_lib.features import queues


class DeliveryQueue(ClaimedQueue):
    """Rows of `webhook_deliveries`."""

    queue = queues.WEBHOOKS
    name, item, what = "webhooks", "webhook", "webhook deliveries"
    table, job = "webhook_deliveries", "retry_webhooks"
    done, failed = ("delivered",), ("failed",)
    reads = ("webhook_id", "event_type")
    purge = "purge_webhook_deliveries"
    moments = (("created_at", "came in"), ("finished_at", "ended"))
    needs = "CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS whole"

    def to(self, row: dict) -> str:
        """The endpoint, and the event."""
        return f"endpoint {one_line(row['webhook_id'])}, {one_line(row['event_type'])}"

    def reasons_to_cancel(self, ctx, rows: list[dict]) -> dict:
        """Its account or endpoint is deleted, or the endpoint is disabled."""
        from . import endpoints
        return endpoints.reasons_to_cancel(ctx.db, rows)

    def why_lost(self, ctx, row: dict) -> str | None:
        """Its payload is not kept."""
        return None if row["whole"] else "its payload was deleted"


QUEUE = DeliveryQueue()
