"""Deliveries that are sent again on request."""
from __future__ import annotations

from datetime import datetime
from functools import partial

from jobs_lib.engines import requeue

from . import endpoints


def _reasons_to_cancel(db, ids: list[int]) -> dict:
    rows = db.query("SELECT id, user_id, webhook_id FROM {webhook_deliveries} WHERE id IN (:ids)",
                    ids=ids)
    return endpoints.reasons_to_cancel(db, rows, endpoints.current(
        db, sorted({row["webhook_id"] for row in rows})))


REPLAY = requeue.Kind("webhook", "webhook_deliveries", "retry_webhooks",
                      "CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS whole",
                      lambda row, _: None if row["whole"] else "its payload is gone", "",
                      _reasons_to_cancel, False)


def failed_since(db, endpoint: int, since: datetime, now) -> list[int]:
    """Put back all failed deliveries of an endpoint whose events are of `since` or later. Their
    ids."""
    done: list[int] = []
    if endpoint > requeue.LARGEST_ID:
        return done
    for rows in db.pages("SELECT id FROM {webhook_deliveries} WHERE webhook_id = :endpoint"
                         " AND status = 'failed' AND created_at >= :since"
                         " AND payload IS NOT NULL",
                         endpoint=endpoint, since=since, size=requeue.AT_ONCE):
        done += db.batch(partial(_still_failed, db, [row["id"] for row in rows], now))
    return done


def _still_failed(db, ids: list[int], now) -> list[int]:
    """Put back those of the rows that nobody has put back or purged meanwhile."""
    rows = db.query("SELECT id FROM {webhook_deliveries} WHERE id IN (:ids) AND status = 'failed'"
                    " AND payload IS NOT NULL ORDER BY id" + db.for_update, ids=ids)
    found = [row["id"] for row in rows]
    requeue.reset(db, REPLAY, found, now)
    return found
