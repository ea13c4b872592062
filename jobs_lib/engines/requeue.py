"""What an operator does to rows of a queue by hand: put them back as if they had never been tried,
or take them out.

Many rows are not due at once: the first AT_FIRST are, the others so many a minute: of mail half of
what the relay's limits allow, of webhooks 100. So new mail, for their owners too, is never behind
all of them. What would be due later than in a day is not put back: such a time counts as a wrong
clock's.
"""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib.database.values import chunked, keys_in
from jobs_lib.records import namedtuple

from . import attempts
from .claimed_queue import CANCELLED_BY, FINISHED, UNKNOWN, ClaimedQueue, is_cancelled
from .rows import invalid

AT_ONCE = 500                   # rows in one transaction
LISTED = 10                     # reasons that are given one by one
AT_FIRST = 20                   # rows that are due at once
MINUTES = 24 * 60               # within which the last of them is due
NO_ROW = "there is no such row (it may have been purged)"
TOO_MANY = "it would be due in more than a day: replay it later"
BY_HAND = f"{CANCELLED_BY}by the operator"

Replayed = namedtuple("Replayed", "done refused last_due_at more")
Replayed.__doc__ = """What was put back.

done         ids                               refused  {id: why it was not}
last_due_at  when the last of them is due      more     whether some were left for another day
"""


class Pace:
    """When each of many rows is due: the first ones now, then `per_day` of them evenly. `number`
    were put back."""

    def __init__(self, now, per_day: int) -> None:
        self.now, self.per_day, self.number = now, per_day, 0

    def left(self) -> int:
        """How many more are due within a day."""
        return max(0, AT_FIRST + self.per_day - self.number)

    def due(self, number: int):
        """When the row of this number is due, from 1 on: in whole minutes from now."""
        behind = max(0, number - AT_FIRST)
        return self.now + timedelta(minutes=-(-behind * MINUTES // self.per_day))

    def plan(self, ids: list) -> dict:
        """{time: those of the ids that are due then}."""
        found: dict = {}
        for number, id in enumerate(ids, self.number + 1):
            found.setdefault(self.due(number), []).append(id)
        return found


def replay(ctx, queue: ClaimedQueue, ids: list[int]) -> Replayed:
    """Put these rows back, whatever became of them."""
    pace, done = Pace(ctx.now, queue.per_day(ctx)), []
    refused: dict[int, str] = {}
    for some in chunked(ids, AT_ONCE):
        refused.update(dict.fromkeys(some[pace.left():], TOO_MANY))
        done += _put_back(ctx, queue, some[:pace.left()], pace, refused)
    return Replayed(done, refused, pace.due(pace.number), False)


def replay_failed(ctx, queue: ClaimedQueue, **which) -> Replayed:
    """Put back all that has failed, as `queue.failed_pages` takes `which`; what a run could only
    cancel is refused. Each page is one commit: after a kill the same again puts back the rest,
    behind what waits since then."""
    pace, done, more = Pace(ctx.now, queue.per_day(ctx)), [], False
    refused: dict[int, str] = {}
    if waiting := queue.count_put_off(ctx, AT_FIRST + pace.per_day):
        pace.number = AT_FIRST + waiting        # behind those of the time before
    for ids in queue.failed_pages(ctx, AT_ONCE, **which):
        more = len(ids) > pace.left()
        if not (some := ids[:pace.left()]):
            break
        done += _put_back(ctx, queue, some, pace, refused, failed_only=True)
        if more:
            break
    return Replayed(done, refused, pace.due(pace.number), more)


def _put_back(ctx, queue: ClaimedQueue, ids: list[int], pace: Pace, refused: dict[int, str],
              failed_only: bool = False) -> list[int]:
    """Put these back, in one commit. Those that were; the others are added to `refused`."""
    why_not = ctx.db.batch(partial(_reset, ctx, queue, ids, pace, failed_only))
    refused.update(why_not)
    done = [id for id in ids if id not in why_not]
    pace.number += len(done)
    return done


def _reset(ctx, queue: ClaimedQueue, ids: list[int], pace: Pace,
           failed_only: bool) -> dict[int, str]:
    """Inside a transaction. {id: why it was refused}."""
    db = ctx.db
    rows = {row["id"]: row for row in db.query(
        f"SELECT id, user_id, status, last_error, {', '.join(queue.reads)}, {queue.needs} "
        f"FROM {{{queue.table}}} WHERE id IN (:ids){db.for_update}", ids=keys_in(ids))}
    known = ("id", "user_id", *queue.reads)
    wrong = invalid(db, queue.table,
                    [{name: row[name] for name in known} for row in rows.values()])
    refused = {id: reason for id in ids if (reason := wrong.get(id) or _refusal(
        ctx, queue, rows.get(id), failed_only))}
    good = [row for id, row in rows.items() if id not in refused]
    # such a row would be cancelled by the next run
    refused.update(queue.reasons_to_cancel(ctx, good) if good else {})
    good = [id for id in ids if id not in refused]
    for due, some in pace.plan(good).items():
        db.execute(f"UPDATE {{{queue.table}}} SET status = 'pending', attempts = 0,"
                   " next_attempt_at = :due, finished_at = NULL, uncertain = 0,"
                   f" claim_run = NULL{queue.reset} WHERE id IN (:ids)",
                   ids=some, due=due)
    if good:
        attempts.record_act(db, queue.table, good, ctx.now, attempts.REPLAYED)
    return refused


def _refusal(ctx, queue: ClaimedQueue, row: dict | None, failed_only: bool) -> str | None:
    if row is None:
        return NO_ROW
    if row["status"] not in queue.statuses():
        return UNKNOWN
    if row["status"] not in FINISHED:
        return f"it is in the queue already ({row['status']})"
    if failed_only and row["status"] != "failed":
        return f"it has not failed ({row['status']})"
    if failed_only and row["last_error"] == BY_HAND:
        return "you have cancelled it; by its id it can be replayed"
    return queue.why_lost(ctx, row)


def cancel(ctx, queue: ClaimedQueue, ids: list[int]) -> dict[int, str]:
    """End rows that wait, without an attempt, inside a transaction. {id: why it was refused}. A run
    that has claimed such a row finds it gone before it begins."""
    db = ctx.db
    rows = {row["id"]: row for row in db.query(
        f"SELECT id, status, last_error FROM {{{queue.table}}} WHERE id IN (:ids){db.for_update}",
        ids=keys_in(ids))}
    refused = {id: reason for id in ids if (reason := _why_not_cancelled(rows.get(id)))}
    good = [id for id in ids if id not in refused]
    if good:
        db.execute(f"UPDATE {{{queue.table}}} SET {queue.ended()} WHERE id IN (:ids) "
                   f"AND +{queue.waits}", ids=good, now=ctx.now, why=BY_HAND)
        attempts.record_act(db, queue.table, good, ctx.now, attempts.CANCELLED)
    return refused


def _why_not_cancelled(row: dict | None) -> str | None:
    if row is None:
        return NO_ROW
    if row["status"] == "sending":
        return "it is being sent: what comes of it is stored"
    if is_cancelled(row) and row["status"] == "failed":
        return "it is cancelled already"
    return None if row["status"] == "pending" else f"it is over already ({row['status']})"


def hints(ctx, queue: ClaimedQueue, done: list[int]) -> list[str]:
    """What else the operator may want to know of the rows that were put back."""
    if not done:
        return []
    old, oldest = 0, ctx.now - queue.lifetime(ctx)
    for ids in chunked(done, AT_ONCE):
        old += ctx.db.value(
            f"SELECT COUNT(*) FROM {{{queue.table}}} WHERE id IN (:ids) AND created_at <= :oldest",
            ids=ids, oldest=oldest)
    many = len(done) > AT_FIRST
    them = "it" if len(done) == 1 else "them"
    hints = [f"The next runs of {queue.job} send them." if many else
             f"The next run of {queue.job} sends {them}."]
    if old:
        hints.append(f"Older than {queue.lifetime(ctx).days} days: {old}. For "
                     f"{'it' if old == 1 else 'these'} that attempt is the only one.")
    return [*hints, *queue.holds(ctx)]
