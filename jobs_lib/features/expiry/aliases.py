"""Aliases that have an end: switching them off when it has come, and notifying their owners before
and after."""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import INVALID
from jobs_lib.engines import audit, guard
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.reminders import (
    SAMPLE_ROWS,
    Reminder,
    alone,
    owners,
    remind_owner,
)
from jobs_lib.text import counted

EVENT = "alias.expired"
MOST = 500                      # aliases of one owner that are switched off in one transaction
ALL = 2 ** 31                   # that a dry run counts
# of an older end nobody is notified any more: it was long ago, as on a first run
NEWS = timedelta(days=7)
PAST = "active = 1 AND expires_at >= :first AND expires_at < :ended"
NO_TIME = "SELECT COUNT(*) FROM {aliases} WHERE active = 1 AND expires_at < :first"
# Bare, the condition would make SQLite read those of all owners by their time, for each of them.
OF_OWNER = ("SELECT id, user_id, address, expires_at FROM {aliases} WHERE user_id = :user_id "
            f"AND CASE WHEN {PAST} THEN 1 ELSE 0 END = 1 ORDER BY expires_at, id LIMIT :most")


def expire(ctx) -> None:
    """Switch off what is past its end, an owner at a time, each with its audit rows and its notice
    in one commit. A dry run shows it."""
    if guard.stops(ctx, "aliases"):
        return
    if number := ctx.db.value(NO_TIME, first=clock.FIRST):
        ctx.count(INVALID, number)
    past = {"first": clock.FIRST, "ended": ctx.now}
    sample: list[dict] = []
    for user_id in owners(ctx, "aliases", "expires_at", PAST, past):
        number = MOST
        with alone(ctx, user_id):
            while number == MOST:
                rows = ctx.db.batch(partial(_switch_off, ctx, user_id, past))
                sample += rows[:SAMPLE_ROWS - len(sample)]
                # a dry run would find the same ones again
                number = 0 if ctx.dry_run else len(rows)
                ctx.sleep(0 if ctx.dry_run else ctx.db.dialect.batches.pause)
                if ctx.should_stop(ctx.counts["expired"]):      # then `owners` ends, too
                    break
    if ctx.dry_run:
        ctx.show(f"deactivate {counted(ctx.counts['expired'], 'alias', 'aliases')}, with "
                 f"{counted(ctx.counts['notices'], 'notice')}", sample)


def _switch_off(ctx, user_id, past: dict) -> list[dict]:
    """The next of this owner's that are past their end, which are locked; in a dry run all of them.
    A transaction."""
    most = ctx.within_limit(ALL if ctx.dry_run else MOST, ctx.counts["expired"])
    rows = ctx.db.query(OF_OWNER + ctx.db.for_update, user_id=user_id, most=most, **past)
    if rows and not ctx.dry_run:
        ctx.db.execute("UPDATE {aliases} SET active = 0 WHERE id IN (:ids)",
                       ids=[row["id"] for row in rows])
        for row in rows:
            audit.record(ctx.db, now=ctx.clock(), user_id=user_id, event=EVENT, details={
                "alias_id": row["id"], "address": row["address"], "expires_at": row["expires_at"]})
    ctx.count("expired", len(rows))
    news = [row for row in rows if ctx.options.notify_expired
            and (end := clock.parse_any(row["expires_at"])) and end >= ctx.now - NEWS]
    if news:
        remind_owner(ctx, EXPIRED, user_id, news)
    return rows


# Notices

def _due(ctx) -> tuple[str, dict]:
    """Those that end soon, and whose owner was not notified of this end: a notice from before its
    span was about an earlier one. What is past its end is switched off instead."""
    span = ctx.options.warn_before
    known = ctx.db.dialect.later("expiry_notified_at", int(span.total_seconds()))
    sql = (f"active = 1 AND expires_at >= :ended AND expires_at < :announced AND CASE WHEN {known} "
           ">= expires_at THEN 0 ELSE 1 END = 1")
    return sql, {"ended": ctx.now, "announced": ctx.now + span}


def _values(ctx, user: dict, rows: list[dict]) -> dict:
    ends = [clock.parse(row["expires_at"]) for row in rows]
    return {
        "count": len(rows), "many": len(rows) > 1, "first_address": rows[0]["address"],
        "first": render.minute(ends[0]), "first_day": render.day(ends[0]),
        "aliases": [{"address": row["address"], "ends": render.minute(end)}
                    for row, end in zip(rows, ends)]}


EXPIRING = Reminder("alias_expiring", "aliases", "expires_at", ("address",), _due,
                    ("expiry_notified_at",), "alias-expiring:{id}:{expires_at}", _values)
EXPIRED = Reminder("alias_expired", "aliases", "expires_at", ("address",), due=None,
                   key="alias-expired:{id}:{expires_at}", values=_values)
