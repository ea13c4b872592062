"""How long the logs of each user are kept, and what is kept of them: for the jobs that delete logs
and headers.

The deployment has one retention. A user may choose a shorter one (`users.log_retention_days`), but
none below three days: a mistyped or mischievous value must not make the log useless. A longer one
than the deployment's does not count.
"""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib.database.schema.keys import or_none
from jobs_lib.database.values import size
from jobs_lib.engines.purge import begin, finish
from jobs_lib.engines.rules import Rule
from jobs_lib.engines.selection import Selection
from jobs_lib.features.usage import rollup

DAY = timedelta(days=1)
LEAST_DAYS = 3
OWNERS_AT_ONCE = 500
KEY = ("user_id", "alias_id", "day", "direction", "status")


def own(days: int, keep: timedelta) -> timedelta:
    """The retention of a user who chose this many days, where the deployment has `keep`."""
    return min(keep, max(days, LEAST_DAYS) * DAY)


def choices(db, keep: timedelta) -> list[int]:
    """Each `log_retention_days` in use that is shorter than `keep`; LEAST_DAYS for all below."""
    return [row["days"] for row in db.query(
        f"SELECT DISTINCT CASE WHEN log_retention_days < {LEAST_DAYS} THEN {LEAST_DAYS} "
        "ELSE log_retention_days END AS days FROM {users} WHERE log_retention_days < :most "
        "ORDER BY 1", most=-(-keep // DAY)) if own(row["days"], keep) < keep]


def purge_logs(ctx, declared) -> dict:
    """Delete what is past its time, by the deployment's retention and then by each owner's, and
    keep the totals. The counts."""
    due = begin(ctx, declared)
    return finish(ctx, due, within=keep_totals, more=of_owners(ctx)) if due else ctx.counts


def of_owners(ctx):
    """Selections of `message_logs`, one a user who chose less than the deployment's retention: what
    is past the own one only, and only as long as that is still the user's choice."""
    keep = ctx.options.keep
    chosen = ctx.db.query("SELECT DISTINCT log_retention_days AS days FROM {users} "
                          "WHERE log_retention_days < :most ORDER BY 1", most=-(-keep // DAY))
    for days in (row["days"] for row in chosen):
        for rows in ctx.db.pages("SELECT id FROM {users} WHERE log_retention_days = :days",
                                 days=days, size=OWNERS_AT_ONCE):
            for owner in (row["id"] for row in rows):
                rule = Rule("created_at", only={"user_id": owner},
                            also=partial(_only_own, owner, days, ctx.now - keep))
                yield Selection("message_logs", [(rule, ctx.now - own(days, keep))], ctx)


def _only_own(owner, days: int, since, _ctx) -> tuple[str, dict]:
    still = "(SELECT log_retention_days FROM {users} WHERE {users}.id = :owner) = :days"
    return (f"created_at >= :since AND {still}",
            {"since": since, "owner": owner, "days": days})


def keep_totals(db, rows) -> None:
    """Add the rows (batch_delete.Rows) that are about to go to `message_stats`, and delete their
    header snapshots.

    Days of rows that rollup_usage has not seen yet become due for it: later they are in no log.

    The rows are read with a lock, as they were when they were counted: InnoDB's INSERT ... SELECT
    would else read without one, and may find a row that another program inserts and takes away
    again before the DELETE comes. They are added in the order of the key, so that two runs at once
    do not wait for each other in a circle.
    """
    day = f"COALESCE({db.dialect.day('created_at')}, '{rollup.EARLIEST}')"     # the totals need one
    alias = or_none(db.text_keys, "aliases", "alias_id")
    direction, status = db.dialect.word("direction"), db.dialect.word("status")
    db.insert_select_adding(
        "message_stats", KEY, ("email_count", "bytes_used"),
        f"SELECT user_id, {alias}, {day}, {direction}, {status}, COUNT(*),"
        f" SUM({size('bytes_used')}){rows.source} GROUP BY 1, 2, 3, 4, 5 "
        f"ORDER BY 1, 2, 3, 4, 5{db.for_update}", **rows.values)
    rollup.mark_unseen(db, rows)
    # Of these rows and no others: a snapshot whose log row another program is just writing is none
    # of ours.
    db.execute(f"DELETE FROM {{header_snapshots}} WHERE message_log_id{rows.key} "
               "AND EXISTS (SELECT 1 FROM"
               " {message_logs} WHERE {message_logs}.id = {header_snapshots}.message_log_id "
               f"AND {rows.filter})", **rows.values)
