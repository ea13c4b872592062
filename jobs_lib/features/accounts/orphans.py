"""Rows of users that are gone: written late by another program, or left by an app that deletes its
users by itself.

Each run looks for rows of the accounts that were deleted in the last days: one question a table.
Once a day it looks at every user that any row names, a page of users at a time. Of whom it knows no
deletion the rows go only when a later look does not find him either: while a backup is put back,
users are missing for a while.
"""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.chunks import chunked
from jobs_lib.database.schema import references
from jobs_lib.database.values import ordered
from jobs_lib.engines.purge import SafetyStop

from . import deleted, ledger
from .erase import complete, empty

RECENT = timedelta(days=3)
CERTAIN = timedelta(hours=12)       # between two looks that do not find a user
PAGE = 500                          # users in one question
# gone users with rows left that are nobody's mistake, and their share of all users
MOST, SHARE = 10, 0.2
DAY, CONFIRMED = "gone_day", "gone_confirmed"       # numbers in `job_state`


def erase_all(ctx, known, counts: dict, pace) -> bool:
    """Delete all rows of users that are not there. False when the run is to stop; SafetyStop where
    they are many."""
    recent = _recent(ctx)           # the record knows for certain
    return _erase(ctx, recent, counts, pace, max(recent, default=0)) and _daily(ctx, known, counts,
                                                                                pace)


def _recent(ctx) -> list[int]:
    """Users that were deleted lately, and of whom there are rows."""
    ids = _gone(ctx, ledger.recent(ctx, ctx.now - RECENT))
    return sorted({row["user_id"] for some in chunked(ids, PAGE)
                   for reference in references.to("users")
                   for row in ctx.db.query(f"SELECT DISTINCT user_id FROM {{{reference.table}}}"
                                           " WHERE user_id IN (:ids)", ids=some)}, key=ordered)


def _gone(ctx, ids: list[int]) -> list[int]:
    """Those of the users that are not there."""
    there: set[int] = set()
    for some in chunked(ids, PAGE):
        there |= {row["id"] for row in ctx.db.query("SELECT id FROM {users} WHERE id IN (:ids)",
                                                    ids=some)}
    return [user_id for user_id in ids if user_id not in there]


def _daily(ctx, known, counts: dict, pace) -> bool:
    day = int(ctx.now.timestamp()) // 86400
    if known.last.get(DAY) == day:
        return True
    gone = _all(ctx)
    if gone is None:
        return False
    if gone and (trouble := _suspicious(ctx, known, gone)):
        raise SafetyStop(trouble)
    if not _erase(ctx, gone, counts, pace, known.last.get(CONFIRMED, 0)):
        return False
    # what was meant is done: the next ones are asked for again
    known.store(**{DAY: day, CONFIRMED: 0})
    return True


def preview(ctx, known) -> list[int]:
    """Show of how many users who are gone there are rows; their ids."""
    gone = _all(ctx) or []
    if gone:
        trouble = _suspicious(ctx, known, gone)
        ctx.show(f"delete what is left of users who are gone: {len(gone):,}", [],
                 f"a run would stop before: {trouble}" if trouble else "those whose deletion is "
                 "not known go when they are missing tomorrow, too")
    return gone


def _all(ctx) -> list[int] | None:
    """All users who are gone and whom rows name; None when the run is to stop."""
    gone: list[int] = []
    low = 0
    while low is not None:
        if ctx.should_stop():
            return None
        high = ctx.db.value("SELECT MAX(id) FROM (SELECT id FROM {users} WHERE id > :low "
                            "ORDER BY id LIMIT :page)"
                            " AS page", low=low, page=PAGE)
        gone += _gone(ctx, sorted(named(ctx.db, low, high), key=ordered))
        low = high
    return gone


def named(db, low: int, high: int | None) -> set[int]:
    """Users above `low` and not above `high` that any row names: by the indexes alone, and for
    MariaDB in leaps."""
    until = "" if high is None else " AND user_id <= :high"
    return {row["user_id"] for reference in references.to("users") for row in db.query(
        f"SELECT DISTINCT user_id FROM {{{reference.table}}} WHERE user_id > :low{until}", low=low,
        high=high)}


def _suspicious(ctx, known, gone: list[int]) -> str | None:
    if ctx.confirmed and not ctx.dry_run:
        known.store(**{CONFIRMED: max((user_id for user_id in gone if isinstance(user_id, int)),
                                      default=1)})
    new = sum(_is_new(user_id, known.last.get(CONFIRMED, 0)) for user_id in gone)
    users = ctx.db.value("SELECT COUNT(*) FROM {users}")
    if not new or (users and new <= max(MOST, SHARE * users)):      # all are confirmed, or few
        return None
    return (f"{new:,} users that rows name are not in the table users, which has {users:,}. "
            "Nothing of theirs was deleted. If they are gone, run `jobs.py delete_accounts --yes` "
            "once; if not, look at [tables] users")


def _erase(ctx, ids: list[int], counts: dict, pace, confirmed: int) -> bool:
    """Of users up to the one that is confirmed, and of those who are gone for certain."""
    for user_id in ids:
        if ctx.should_stop():
            return False
        deletion, certain = ctx.db.batch(partial(_deletion, ctx, user_id))
        if not certain and _is_new(user_id, confirmed):
            continue
        batches = deleted.Batches(ctx, user_id, deletion, counts, pace, False)
        before = counts["rows"]
        with deleted.unless_restored(ctx, user_id, counts):
            if not empty(batches):
                return False
            ctx.db.batch(partial(complete, ctx, batches.deletion_id, ctx.clock()))
        counts["late_rows"] = counts.get("late_rows", 0) + counts["rows"] - before
    return True


def _is_new(user_id, confirmed: int) -> bool:
    """Whether the operator has not confirmed that this user is gone. Text, which SQLite keeps
    anywhere, is no number to compare with: whoever confirms numbers confirms all of it."""
    return user_id > confirmed if isinstance(user_id, (int, float)) else not confirmed


def _deletion(ctx, user_id: int) -> tuple[int, bool]:
    """Where these rows are counted, with the account's own deletion or in a row of their own; and
    whether that row tells of a deletion, or of a look that did not find the user a while ago."""
    ref = deleted.user_ref(ctx, user_id)
    rows = ctx.db.query("SELECT id, requested_at, completed_at FROM {account_deletions} "
                        "WHERE user_ref = :ref"
                        " ORDER BY id", ref=ref)
    if not rows:
        return ctx.db.insert("account_deletions", user_ref=ref, requested_at=ctx.now,
                             counts="{}"), False
    last = rows[-1]
    return last["id"], bool(last["completed_at"]) or (last["requested_at"]
                                                      or "") <= clock.text(ctx.now - CERTAIN)
