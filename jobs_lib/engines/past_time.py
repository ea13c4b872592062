"""Items that were past their time before the jobs came to them: an app's old rows are ended without
an attempt, and no owner is notified. Rows of our own queues, made while the jobs work, are not
among them: those get their last attempt however late cron may be.
"""
from __future__ import annotations

from functools import partial

from .claimed_queue import CANCELLED_BY
from .work_queue import WorkQueue

AT_ONCE = 500               # rows in one transaction
WHY = f"{CANCELLED_BY}past its time before the jobs were started here"


def number(ctx, queue: WorkQueue) -> int:
    """How many there are."""
    return ctx.db.value(
        f"SELECT COUNT(*) FROM {{{queue.table}}} WHERE {queue.waits} AND {queue.added} < :before",
        before=ctx.now - queue.lifetime(ctx))


def end(ctx, queue: WorkQueue) -> int:
    """End them, in short commits; how many. After a kill the same again ends the rest."""
    rule, before = f"{queue.waits} AND {queue.added} < :before", ctx.now - queue.lifetime(ctx)
    done = 0
    for rows in ctx.db.pages(f"SELECT id FROM {{{queue.table}}} WHERE {rule}", size=AT_ONCE,
                             before=before):
        done += ctx.db.batch(partial(
            ctx.db.execute, f"UPDATE {{{queue.table}}} SET {queue.ended()} "
            f"WHERE id IN (:ids) AND {rule}", ids=[row["id"] for row in rows], before=before,
            now=ctx.now, why=WHY))
    return done
