"""What the answers of an endpoint mean for the endpoint itself: failing since when, resting,
disabled.

All but `cancel` are called in the transaction that stores the answer.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.engines import audit
from jobs_lib.features.notifications import enqueue, render
from jobs_lib.ports.http.url import shown

from .deliveries import first_due

KIND = "webhook_disabled"
FAILING = "webhook_failing"
# so long before it is disabled its owner is warned, once
WARN_BEFORE = timedelta(days=2)
CANCEL = 500                    # rows in one commit


def works(db, endpoint: dict) -> dict:
    """A success ends whatever failed before. What has changed of the endpoint."""
    if not endpoint["failing_since"]:
        return {}
    db.execute("UPDATE {webhooks} SET failing_since = NULL WHERE id = :id", id=endpoint["id"])
    return {"failing_since": None}


def fails(ctx, endpoint: dict, error: str) -> tuple[dict, str]:
    """A failure: note since when. (what has changed of the endpoint, why it is to be disabled or
    "")."""
    now, since = ctx.clock(), endpoint["failing_since"]
    began = clock.parse_any(since)
    if began is None or began > now:        # no time, or that of a clock that was wrong
        since = None
    if since and _worked_meanwhile(ctx.db, endpoint["id"], since):
        since = None                # the app delivered something and did not say so
    if not (since and began):
        ctx.db.execute("UPDATE {webhooks} SET failing_since = :now WHERE id = :id", now=now,
                       id=endpoint["id"])
        return {"failing_since": clock.text(now)}, ""
    end = began + ctx.options.disable_after
    if end <= now and ctx.may_expire():
        return {}, f"every delivery has failed since {render.minute(began)}"
    if began < end - WARN_BEFORE <= now < end:
        _warn(ctx, endpoint, began, end, error)
    return {}, ""


def _worked_meanwhile(db, id: int, since: str) -> bool:
    return db.row("SELECT id FROM {webhook_deliveries} WHERE webhook_id = :id "
                  "AND status = 'delivered' AND"
                  " (finished_at > :since OR (finished_at IS NULL AND created_at > :since)) "
                  "LIMIT 1",
                  id=id, since=since) is not None


def rests(ctx, endpoint: dict, waits: tuple, until) -> None:
    """It asked to be left alone until then: what is due before waits as long, and uses up no
    attempt."""
    sql, values = first_due(waits, until)
    ctx.db.execute("UPDATE {webhook_deliveries} SET next_attempt_at = :until WHERE webhook_id = :id"
                   " AND status = 'pending' AND (next_attempt_at < :until "
                   f"OR (next_attempt_at IS NULL AND {sql}))", id=endpoint["id"], until=until,
                   **values)


def disable(ctx, endpoint: dict, reason: str) -> bool:
    """Switch it off and queue the one notice to its owner. False if it was off already."""
    now = ctx.clock()
    if ctx.db.execute("UPDATE {webhooks} SET active = 0, disabled_at = :now, disabled_reason = "
                      ":reason"
                      " WHERE id = :id AND active = 1", id=endpoint["id"], now=now,
                      reason=reason) != 1:
        return False
    audit.record(ctx.db, now=now, user_id=endpoint["user_id"], event="webhook.disabled",
                 severity="warning", details={"webhook_id": endpoint["id"], "reason": reason})
    user = ctx.db.row("SELECT id, email, name FROM {users} WHERE id = :id AND status <> 'deleted'",
                      id=endpoint["user_id"])
    if user:
        _tell(ctx, endpoint, user, reason, now)
    return True


def _warn(ctx, endpoint: dict, began, end, error: str) -> None:
    """Warn the owner, once for each time that it began to fail."""
    key = f"webhook-failing:{endpoint['id']}:{clock.text(began)}"
    user = ctx.db.row("SELECT id, email, name FROM {users} WHERE id = :id AND status = 'active'",
                      id=endpoint["user_id"])
    if not user or not enqueue.reaches(ctx, user) or ctx.db.value(
            "SELECT COUNT(*) FROM {notifications} WHERE dedupe_key = :key", key=key):
        return
    letter = render.write(ctx, FAILING, {
        "name": user["name"] or user["email"], "url": shown(endpoint["url"]),
        "host": endpoint["host"],
        "reason": error or "no answer",
        "since": render.minute(began), "end": render.minute(end)})
    enqueue.queue(ctx.db, now=ctx.clock(), user_id=endpoint["user_id"], kind=FAILING,
                  to_email=user["email"], letter=letter, dedupe_key=key)


def _tell(ctx, endpoint: dict, user: dict, reason: str, now) -> None:
    if not enqueue.reaches(ctx, user):
        return
    letter = render.write(ctx, KIND, {
        "name": user["name"] or user["email"], "url": shown(endpoint["url"]),
        "host": endpoint["host"],
        "reason": reason,
        "disabled_at": render.minute(now)})
    enqueue.queue(ctx.db, now=now, user_id=endpoint["user_id"], kind=KIND, to_email=user["email"],
                  letter=letter, dedupe_key=f"webhook-disabled:{endpoint['id']}:{clock.text(now)}")


def cancel(ctx, id: int, reason: str):
    """End what waits for an endpoint that was disabled, in commits of its own: how many rows each
    of them had. What a kill leaves, the next run finds due and cancels."""
    done = 1
    while done:
        rows = ctx.db.query("SELECT id FROM {webhook_deliveries} WHERE webhook_id = :id "
                            "AND status = 'pending'"
                            " LIMIT :most", id=id, most=CANCEL)
        if not rows:
            return
        done = ctx.db.execute(
            "UPDATE {webhook_deliveries} "
            "SET status = 'failed', finished_at = :now, next_attempt_at = NULL,"
            " claim_token = NULL, claim_run = NULL, lease_until = NULL, last_error = :error"
            " WHERE id IN (:ids) AND +status = 'pending'",
            ids=[row["id"] for row in rows], now=ctx.clock(), error=f"cancelled: {reason}")
        yield done
