"""What is kept of message logs once their rows are deleted: totals in `message_stats`; their header
snapshots are deleted in the same commit.

A user may choose a shorter retention (`users.log_retention_days`), but none below three days: a
mistyped or mischievous value must not make the log useless.
"""
from __future__ import annotations

from datetime import timedelta
from itertools import chain

from jobs_lib.database.stored import size
from jobs_lib.engines import guard
from jobs_lib.engines.purge import Selection, begin, count, delete
from jobs_lib.features import rollup

DAY, LEAST_DAYS = timedelta(days=1), 3
OWNERS_AT_ONCE = 500
KEY = ("user_id", "alias_id", "day", "direction", "status")
# what an owner's own retention deletes: as long as it is that, and what the deployment's leaves
OF_OWNER = ("user_id = :owner AND created_at >= :since AND created_at < :before AND "
            "(SELECT log_retention_days FROM {users} "
            "WHERE {users}.id = {message_logs}.user_id) = :days")
ITS_ID = "{message_logs}.id = {header_snapshots}.message_log_id"
ITS_LOG = f"FROM {{message_logs}} WHERE {ITS_ID}"


def purge_logs(ctx, declared) -> dict:
    """Delete what is past everybody's and each owner's retention."""
    limits, due = begin(ctx, declared)
    return delete(ctx, "message_logs", chain(due, _of_owners(ctx, limits["keep"])),
                  within=keep_totals) if due else ctx.counts


def _of_owners(ctx, keep: timedelta):
    """A Selection for each user who chose less than `keep`: as long as that is still so."""
    if guard.stops(ctx, "log_retentions"):
        return
    for rows in ctx.db.pages("SELECT id, log_retention_days FROM {users} WHERE log_retention_days "
                             "< :most", key=("log_retention_days", "id"), most=-(-keep // DAY),
                             size=OWNERS_AT_ONCE):
        for row in rows:
            own = max(row["log_retention_days"], LEAST_DAYS) * DAY
            if own < keep:
                yield Selection("message_logs", OF_OWNER, "created_at", {
                    "owner": row["id"], "days": row["log_retention_days"],
                    "since": ctx.now - keep, "before": ctx.now - own})


def keep_totals(db, rows) -> None:
    """Add the rows (batch_delete.Rows) that are about to be deleted to `message_stats`, and delete
    their header snapshots. Days of theirs that rollup_usage has not seen become due for it.

    They are read with a lock: InnoDB's INSERT ... SELECT would else find rows that another program
    takes away again before the DELETE comes. And in the order of the key, so that two runs at once
    do not wait for each other in a circle.
    """
    day = f"COALESCE({db.dialect.day('created_at')}, '{rollup.EARLIEST}')"  # the totals need one
    # as text, since MariaDB would make a UUID of the '' beside one
    alias = ("COALESCE(alias_id || '', '')" if "aliases" in db.text_keys
             else "COALESCE(alias_id, 0)")
    direction, status = db.dialect.word("direction"), db.dialect.word("status")
    db.insert_select(
        "message_stats", KEY, ("email_count", "bytes_used"),
        f"SELECT user_id, {alias}, {day}, {direction}, {status}, COUNT(*),"
        f" SUM({size('bytes_used')}){rows.source} GROUP BY 1, 2, 3, 4, 5 "
        f"ORDER BY 1, 2, 3, 4, 5{db.for_update}", add=True, **rows.values)
    rollup.mark_unseen(db, rows)
    # Of these rows alone: a snapshot whose log row another program is just writing is none of ours.
    db.execute(f"DELETE FROM {{header_snapshots}} WHERE message_log_id{rows.key} AND EXISTS "
               f"(SELECT 1{rows.source} AND {ITS_ID})", **rows.values)


def purge_headers(ctx) -> dict:
    """Delete header snapshots without a log row, and those that are past `keep`, or past their
    log's. The counts.

    They are found by a consistent read and deleted by their ids: an app writes a row and its
    headers in one transaction, and such a read sees both or neither.
    """
    ctx.count("deleted", 0)
    if not ctx.may_expire():
        return ctx.counts
    keep = ctx.options.keep or ctx.options_of("purge_message_logs").keep
    limits = guard.kept(ctx, "header_snapshots", {"keep": keep},
                        lambda limits: count(ctx.db, _expired(ctx, limits["keep"])))
    orphans = [] if guard.stops(ctx, "header_snapshots") else [
        Selection("header_snapshots", f"(SELECT MIN(id) {ITS_LOG}) IS NULL", "id", {})]
    return delete(ctx, "header_snapshots", [*orphans, *_expired(ctx, limits["keep"])])


def _expired(ctx, keep: timedelta | None) -> list[Selection]:
    """Those whose log row is older than that; none where it is kept for ever."""
    return [Selection("header_snapshots", f"(SELECT MIN(created_at) {ITS_LOG}) < :before", "id",
                      {"before": ctx.now - keep})] if keep else []
