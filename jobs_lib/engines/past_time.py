"""Items that were past their time before the jobs came to them: an app's old rows are ended without
an attempt, and no owner is notified. Rows of our own queues, made while the jobs work, are not
among them: those get their last attempt however late cron may be.
"""
from __future__ import annotations

from functools import partial

from .claimed_queue import CANCELLED_BY
from .rows import UNCLAIMED
from .work_queue import WorkQueue

AT_ONCE = 500               # rows in one transaction
WHY = f"{CANCELLED_BY}past its time before the jobs were started here"


def number(ctx, queue: WorkQueue) -> int:
    """How many there are."""
    rule, values = _rule(ctx, queue)
    return ctx.db.value(f"SELECT COUNT(*) FROM {{{queue.table}}} WHERE {rule}", **values)


def end(ctx, queue: WorkQueue) -> int:
    """End them, in short commits; how many. After a kill the same again ends the rest."""
    rule, values = _rule(ctx, queue)
    done = 0
    for rows in ctx.db.pages(f"SELECT id FROM {{{queue.table}}} WHERE {rule}", size=AT_ONCE,
                             **values):
        done += ctx.db.batch(partial(
            ctx.db.execute, f"UPDATE {{{queue.table}}} SET {queue.ended()} "
            f"WHERE id IN (:ids) AND {rule}", ids=[row["id"] for row in rows], now=ctx.now,
            why=WHY, **values))
    return done


def spared(ctx, queue: WorkQueue) -> tuple[str, dict]:
    """(SQL, values), to be put behind a condition: the item is left by the confirmation that is
    still to come. ("", {}) once there was one."""
    from jobs_lib.database.schema.app_tables import TABLES
    from jobs_lib.runner import adoption
    if queue.table not in TABLES or not adoption.unconfirmed(ctx.db, [ctx.job]):
        return "", {}
    rule, values = _rule(ctx, queue)
    return f" AND CASE WHEN {rule} THEN 0 ELSE 1 END = 1", values


def left_to_app(db, queue: WorkQueue, rule: str = "", **values) -> int:
    """How many the app has in flight, as no run has claimed them; `rule`: SQL behind the
    condition."""
    return db.value(f"SELECT COUNT(*) FROM {{{queue.table}}} WHERE {queue.in_flight} "
                    f"AND {UNCLAIMED}{rule}", **values) if queue.in_flight else 0


def _rule(ctx, queue: WorkQueue) -> tuple[str, dict]:
    """(SQL, values) of the items: waiting, or in flight by the app, as no run has claimed them."""
    unfinished = (f"({queue.waits} OR ({queue.in_flight} AND {UNCLAIMED}))" if queue.in_flight
                  else queue.waits)
    return (f"{unfinished} AND {queue.added} < :before",
            {"before": ctx.now - queue.lifetime(ctx)})
