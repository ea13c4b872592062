"""What an operator does to rows of a queue by hand: put them back as if they
had never been tried, or end them.

Many that are put back are due in lots of AT_FIRST, at a pace that leaves room:
new rows, of the same owners too, are never behind all of them.
"""
from __future__ import annotations

from functools import partial

from . import attempts, rows
from .items import CANCELLED_BY, STOPPED, Items

BY_HAND = f"{CANCELLED_BY}by the operator"
NO_ROW = "there is no such row (it may have been purged)"
AT_FIRST = 20                   # of many that are put back, so many are due at once


def replay(items: Items, pages, failed_only: bool) -> tuple[list, dict]:
    """Put rows back, also sent ones, unless `failed_only`. (The ids of those
    that were, {id: why it was not})."""
    return _in_pages(items, pages, partial(_why_not_put_back, items, failed_only), _put_back)


def cancel(items: Items, pages) -> tuple[list, dict]:
    """End rows that wait, without an attempt; the same. A run that has taken
    such a row finds it over before it begins."""
    return _in_pages(items, pages, partial(_why_not_ended, items), _end)


def due_at(items: Items, number: int):
    """When the row of that number is due, from 0 on, of all that are put back."""
    return items.now + number // AT_FIRST * AT_FIRST * items.pace()


def _in_pages(items: Items, pages, why_not, change) -> tuple[list, dict]:
    """A page is one commit: after a kill the same again does the rest."""
    done: list = []
    refused: dict = {}

    def work(ids: list) -> dict:
        found = items.read(ids, lock=items.db.for_update)
        reasons = why_not([*found.values()])
        reasons = {id: reasons.get(id, NO_ROW) for id in ids if id in reasons or id not in found}
        if good := [id for id in ids if id not in reasons]:
            change(items, good, len(done))
        return reasons

    for ids in pages:
        reasons = items.db.batch(partial(work, ids))
        refused.update(reasons)
        done += [id for id in ids if id not in reasons]
    return done, refused


def _why_not_put_back(items: Items, failed_only: bool, found: list[dict]) -> dict:
    refused = rows.invalid(items.db, items.queue.table, found)
    for row in found:
        status, why = row["status"], ""
        if status != "failed" and (failed_only or status != items.queue.done):
            why = f"it has not failed, its status is {status}"
        elif failed_only and row[items.queue.error] == BY_HAND:
            why = "you have cancelled it; by its id it can be replayed"
        elif row["is_stopped"]:
            why = STOPPED
        if why := why or items.lost(row):
            refused.setdefault(row["id"], why)
    # the next run would only cancel it
    refused.update(items.reasons_to_cancel([row for row in found if row["id"] not in refused]))
    return refused


def _put_back(items: Items, ids: list, before: int) -> None:
    """`before`: how many were."""
    queue = items.queue
    emptied = "".join(f", {name} = NULL" for name in (
        "finished_at", "claim_run", "last_attempt_at", queue.error, queue.code, *items.reset))
    for number in range(0, len(ids), AT_FIRST):
        items.db.execute(f"UPDATE {{{queue.table}}} SET status = '{queue.waits}', attempts = 0, "
                         f"uncertain = 0, next_attempt_at = :due{emptied} WHERE id IN (:ids)",
                         ids=ids[number:number + AT_FIRST], due=due_at(items, before + number))
    attempts.record_act(items.db, queue, ids, items.now, attempts.REPLAYED)


def _why_not_ended(items: Items, found: list[dict]) -> dict:
    return {row["id"]: "it is being sent: what comes of it is stored"
            if row["status"] == items.queue.works else f"it is over already ({row['status']})"
            for row in found if row["status"] != items.queue.waits}


def _end(items: Items, ids: list, before: int) -> None:
    """Its times are those of a row that a run ends, but its text stays: it can be put back."""
    queue = items.queue
    over = queue.when_over(items.now).items()
    times = "".join(f", {name} = :now" for name, value in over if value)
    items.db.execute(f"UPDATE {{{queue.table}}} SET status = 'failed', finished_at = :now{times}, "
                     f"next_attempt_at = NULL, {queue.error} = :why WHERE id IN (:ids)",
                     ids=ids, now=items.now, why=BY_HAND)
    attempts.record_act(items.db, queue, ids, items.now, attempts.CANCELLED)
