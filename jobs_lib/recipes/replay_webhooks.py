"""Deliveries that go back into their queue as if they had never been tried: due now, all attempts ahead."""
from __future__ import annotations

from datetime import datetime

from .. import clock
from .webhooks import endpoints, gone

FINISHED = ("failed", "delivered")
SENDER = "retry_webhooks"
AT_ONCE = 500                   # rows in one transaction
LARGEST_ID = 2 ** 63 - 1
COUNTED = 10                    # reasons that are told one by one


def moment(words: str) -> datetime:
    """A time in UTC, for argparse: `2026-11-24`, `2026-11-24 14:30`, `2026-11-24T14:30:05Z`."""
    try:
        found = datetime.fromisoformat(words.strip().replace("Z", "+00:00"))
    except ValueError:
        import argparse
        raise argparse.ArgumentTypeError(f"expected a time such as '2026-11-24 14:30', not {words!r}") from None
    return (found if found.tzinfo else found.replace(tzinfo=clock.UTC)).astimezone(clock.UTC)


def put_back(db, session, ids: list[int], now) -> dict[int, str]:
    """Put rows back, inside a transaction. {id: why it was refused}."""
    rows = {row["id"]: row for row in db.query(
        "SELECT id, status, CASE WHEN payload IS NULL THEN 0 ELSE 1 END AS whole FROM {webhook_deliveries}"
        " WHERE id IN (:ids)" + db.for_update, ids=[id for id in ids if id <= LARGEST_ID])}
    refused = {id: reason for id in ids if (reason := _refusal(rows.get(id)))}
    _reset(db, [id for id in ids if id not in refused], FINISHED, now)
    return refused


def _refusal(row: dict | None) -> str:
    if row is None:
        return "there is no such row (it may have been purged)"
    if row["status"] not in FINISHED:
        return f"it is in the queue already ({row['status']})"
    return "" if row["whole"] else "its payload is gone"


def failed_since(db, endpoint: int, since: datetime, now) -> list[int]:
    """Put back all failed deliveries of an endpoint whose events are of `since` or later. Their ids."""
    done: list[int] = []
    last = 0
    while endpoint <= LARGEST_ID:
        rows = db.query("SELECT id FROM {webhook_deliveries} WHERE webhook_id = :endpoint AND status = 'failed'"
                        " AND created_at >= :since AND payload IS NOT NULL AND id > :last ORDER BY id LIMIT :most",
                        endpoint=endpoint, since=since, last=last, most=AT_ONCE)
        if not rows:
            break
        ids = [row["id"] for row in rows]
        last = ids[-1]
        done += db.batch(lambda ids=ids: _still_failed(db, ids, now))
    return done


def _still_failed(db, ids: list[int], now) -> list[int]:
    """Put back those of the rows that nobody has put back or purged meanwhile."""
    rows = db.query("SELECT id FROM {webhook_deliveries} WHERE id IN (:ids) AND status = 'failed'"
                    " AND payload IS NOT NULL ORDER BY id" + db.for_update, ids=ids)
    found = [row["id"] for row in rows]
    if found:
        _reset(db, found, ("failed",), now)
    return found


def _reset(db, ids: list[int], finished: tuple, now) -> None:
    db.execute("UPDATE {webhook_deliveries} SET status = 'pending', attempts = 0, next_attempt_at = :now,"
               " finished_at = NULL, uncertain = 0, claim_token = NULL, claim_run = NULL, lease_until = NULL"
               " WHERE id IN (:ids) AND status IN (:finished)", ids=ids, now=now, finished=list(finished))


def hints(session, db, done: list[int], now) -> list[str]:
    """What else the operator may want to know of the rows that were put back."""
    words: list[str] = []
    cancelled: dict = {}
    for start in range(0, len(done), AT_ONCE):
        rows = db.query("SELECT id, user_id, webhook_id FROM {webhook_deliveries} WHERE id IN (:ids)",
                        ids=done[start:start + AT_ONCE])
        cancelled.update(gone(db, rows, endpoints(db, sorted({row["webhook_id"] for row in rows}))))
    for id, why in list(cancelled.items())[:COUNTED]:
        words.append(f"webhook {id}: the next run of {SENDER} can only cancel it, since {why}.")
    if len(cancelled) > COUNTED:
        words.append(f"The same goes for {len(cancelled) - COUNTED:,} others.")
    if len(done) > len(cancelled):
        which = "the rest" if cancelled else "it" if len(done) == 1 else "them"
        words.append(f"The next run of {SENDER} sends {which}.")
    if done and db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=SENDER):
        words.append(f"{SENDER} is paused: `jobs.py resume {SENDER}`.")
    return words
