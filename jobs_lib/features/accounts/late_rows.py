"""Rows that another program wrote for an account after it was deleted for good.

The deletion ledger says who was deleted in the last days; each run looks for rows that name one of
them: one question a table.
"""
from __future__ import annotations

from functools import partial

from jobs_lib.chunks import chunked
from jobs_lib.database.schema import references
from jobs_lib.database.values import ordered

from . import deleted, ledger
from .erase import complete, empty

PAGE = 500                          # users in one question


def owners(ctx) -> list:
    """Users who were deleted recently, are not there, and are named by a row."""
    found: dict = {}
    key = partial(ctx.db.key, "users")
    for ids in chunked(ledger.recent(ctx), PAGE):
        there = {key(row["id"]) for row in ctx.db.query("SELECT id FROM {users} WHERE id IN (:ids)",
                                                        ids=ids)}
        gone = {key(id): id for id in ids if key(id) not in there}
        for reference in references.to("users"):
            found.update((id, gone[id]) for row in ctx.db.query(
                f"SELECT DISTINCT user_id FROM {{{reference.table}}} WHERE user_id IN (:ids)",
                ids=list(gone.values())) if (id := key(row["user_id"])) in gone)
        for further in ctx.db.name.also:
            found.update((id, gone[id]) for owner in further.owners(ctx.db, list(gone.values()))
                         if (id := key(owner)) in gone)
    return sorted(found.values(), key=ordered)


def erase_all(ctx, sizers) -> bool:
    """Delete all of these rows. False when the run is to stop."""
    for user_id in owners(ctx):
        if ctx.should_stop():
            return False
        deletion = ctx.db.batch(partial(_deletion, ctx, user_id))
        batches = deleted.Batches(ctx, user_id, deletion, sizers, there=False)
        before = ctx.counts["rows"]
        with deleted.unless_restored(ctx, user_id):
            if not empty(batches):
                return False
            ctx.db.batch(partial(complete, ctx, deletion, ctx.clock()))
        ctx.count("late_rows", ctx.counts["rows"] - before)
    return True


def _deletion(ctx, user_id: int) -> int:
    """The row of account_deletions that counts these rows too: the one of the account's own
    deletion."""
    ref = deleted.user_ref(ctx, user_id)
    return ctx.db.value("SELECT MAX(id) FROM {account_deletions} WHERE user_ref = :ref",
                        ref=ref) or ctx.db.insert(
        "account_deletions", user_ref=ref, requested_at=ctx.now, counts="{}")
