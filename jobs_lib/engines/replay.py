"""What an operator does to rows of a queue by hand: put them back as if they had never been tried,
or end them.

Many rows that are put back are not due at once: the first AT_FIRST are, the others one after the
other, at a pace that leaves room for new ones: these, of the same owners too, are never behind all
of them.
"""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib.database.values import keys_in
from jobs_lib.records import namedtuple

from . import attempts, rows
from .items import CANCELLED_BY, UNKNOWN, Items, is_cancelled

BY_HAND = f"{CANCELLED_BY}by the operator"
NO_ROW = "there is no such row (it may have been purged)"
AT_FIRST = 20                   # of many that are put back, so many are due at once
MINUTE = timedelta(minutes=1)

Done = namedtuple("Done", "ids refused last_due_at")
Done.__doc__ = """The `ids` that it was done to; `refused`: {id: why not}; when the last is due."""


def replay(ctx, items: Items, pages, failed_only: bool) -> Done:
    """Put rows back, whatever became of them, or with `failed_only` as all that has failed."""
    done, refused = _in_pages(ctx, pages, partial(_put_back, ctx, items, failed_only))
    return Done(done, refused, due_at(ctx, items, len(done)))


def cancel(ctx, items: Items, pages) -> Done:
    """End rows that wait, without an attempt. A run that has taken such a row finds it over before
    it begins."""
    return Done(*_in_pages(ctx, pages, partial(_end, ctx, items)), None)


def _in_pages(ctx, pages, work) -> tuple[list, dict]:
    """(ids that it was done to, {id: why not}). A page is one commit: after a kill the same again
    does the rest."""
    done: list = []
    refused: dict = {}
    for ids in pages:
        why_not = ctx.db.batch(partial(work, ids, len(done)))
        refused.update(why_not)
        done += [id for id in ids if id not in why_not]
    return done, refused


def due_at(ctx, items: Items, number: int):
    """When the row of that number is due, in whole minutes, so that many share a statement."""
    behind = max(0, number - AT_FIRST)
    return ctx.now - (-behind * items.pace(ctx) // MINUTE) * MINUTE


def _put_back(ctx, items: Items, failed_only: bool, ids: list, before: int) -> dict:
    """Inside a transaction. `before`: how many were. {id: why it was refused}."""
    queue = items.queue
    found = _locked(ctx, items, ids, *dict.fromkeys(("user_id", *items.reads)), *items.needs,
                    f"{queue.after_deletion} AS to_deleted")
    wrong = rows.invalid(ctx.db, queue.table, [dict(row) for row in found.values()])
    refused = {id: why for id in ids
               if (why := wrong.get(id) or _why_not_put_back(ctx, items, found.get(id),
                                                             failed_only))}
    # such a row would be cancelled by the next run, or wait until all of the account is deleted
    good = [row for id, row in found.items() if id not in refused]
    owners = rows.owners_in(ctx.db, good)
    refused.update(items.reasons_to_cancel(ctx, good))
    refused.update((row["id"], "the account is deleted") for row in good
                   if owners.get(row["user_id"]) == "deleted" and not row["to_deleted"])
    done = [id for id in ids if id not in refused]
    planned: dict = {}
    for number, id in enumerate(done, before + 1):
        planned.setdefault(due_at(ctx, items, number), []).append(id)
    emptied = "".join(f", {name} = NULL" for name in (
        "finished_at", "claim_run", "last_attempt_at", queue.error, queue.code, *items.reset))
    for moment, some in planned.items():
        ctx.db.execute(f"UPDATE {{{queue.table}}} SET status = '{queue.waits}', attempts = 0, "
                       f"uncertain = 0, next_attempt_at = :due{emptied} WHERE id IN (:ids)",
                       ids=some, due=moment)
    if done:
        attempts.record_act(ctx.db, queue, done, ctx.now, attempts.REPLAYED)
    return refused


def _why_not_put_back(ctx, items: Items, row: dict | None, failed_only: bool) -> str | None:
    if row is None:
        return NO_ROW
    if row["status"] not in items.statuses():
        return UNKNOWN
    if row["status"] in items.unfinished():
        return f"it is in the queue already ({row['status']})"
    if failed_only and row["status"] != "failed":
        return f"it has not failed ({row['status']})"
    if failed_only and row[items.queue.error] == BY_HAND:
        return "you have cancelled it; by its id it can be replayed"
    return items.why_lost(ctx, row)


def _end(ctx, items: Items, ids: list, before: int) -> dict:
    """The same."""
    queue, found = items.queue, _locked(ctx, items, ids)
    refused = {id: why for id in ids if (why := _why_not_ended(queue, found.get(id)))}
    if good := [id for id in ids if id not in refused]:
        notified = "".join(f", {column} = :now" for column in items.notified)
        ctx.db.execute(f"UPDATE {{{queue.table}}} SET status = 'failed', finished_at = :now, "
                       f"next_attempt_at = NULL, {queue.error} = :why{notified} "
                       "WHERE id IN (:ids)", ids=good, now=ctx.now, why=BY_HAND)
        attempts.record_act(ctx.db, queue, good, ctx.now, attempts.CANCELLED)
    return refused


def _why_not_ended(queue, row: dict | None) -> str | None:
    if row is None:
        return NO_ROW
    if row["status"] == queue.works:
        return "it is being sent: what comes of it is stored"
    if row["status"] == "failed" and is_cancelled(row):
        return "it is cancelled already"
    return None if row["status"] == queue.waits else f"it is over already ({row['status']})"


def _locked(ctx, items: Items, ids: list, *columns: str) -> dict:
    """{id: row}, until the end of the transaction nobody else's."""
    names = ", ".join(("id", "status", items.queue.error, *columns))
    return {row["id"]: row for row in ctx.db.query(
        f"SELECT {names} FROM {{{items.queue.table}}} WHERE id IN (:ids){ctx.db.for_update}",
        ids=keys_in(ids))}
