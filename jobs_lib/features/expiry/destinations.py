"""Destinations that were never verified: reminding their owners, and removing them long after, with
a warning before."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database.values import chunked
from jobs_lib.engines import audit, guard
from jobs_lib.engines.purge import begin, delete
from jobs_lib.engines.rules import Purge, Rule
from jobs_lib.features.notifications import render, warnings
from jobs_lib.features.notifications.reminders import Reminder, remind

EVENT = "destination.removed"
IDS_AT_ONCE = 500

# Values, not EXISTS: that MariaDB may answer by reading the whole of the other table.
USE = ("(SELECT MIN({alias_destinations}.alias_id) FROM {alias_destinations}"
       " WHERE {alias_destinations}.destination_id = {destinations}.id)")
# By its owner too: where most forwards name no destination, an engine would rather read all of them
# than that index.
AWAITED = ("(SELECT MIN({failed_emails}.id) FROM {failed_emails} WHERE {failed_emails}.user_id ="
           " {destinations}.user_id AND {failed_emails}.destination_id = {destinations}.id"
           " AND {failed_emails}.status IN ('pending', 'sending'))")
# The warning has the very time with which it marked its rows.
LISTS = ("{notifications}.user_id = {destinations}.user_id"
         " AND {notifications}.kind = 'destination_removal'"
         " AND {notifications}.created_at = {destinations}.removal_notified_at"
         " AND {destinations}.verified_at IS NULL")
MAY_GO = (f"removal_notified_at >= '{clock.FIRST}' AND {USE} IS NULL AND {AWAITED} IS NULL AND "
          + warnings.warned_sql("destinations", "{destinations}.created_at", LISTS))


def remove(ctx) -> None:
    """Queue the warnings of removals, then remove what was warned of in time, counted as `notices`
    and `deleted`.

    A limit that was shortened by mistake does not count yet, so it writes no warning.
    """
    limits, due = begin(ctx, UNUSED)
    if due and (after := limits["remove_after"]) and not guard.stops(
            ctx, "destinations", announced=guard.announced(ctx.options, ctx.now, after)):
        remind(ctx, _to_go(after))
        delete(ctx, "destinations", due, within=lambda _, rows: _with_them(ctx, rows))


def _may_go(ctx, after: timedelta) -> tuple[str, dict]:
    """Its owner was warned in time, no alias uses it, no forward waits for it; judged in the DELETE
    itself."""
    return MAY_GO, warnings.warned_values(ctx, ctx.options.warn_before, after)


def _with_them(ctx, rows) -> None:
    """What is deleted with destinations, and what is recorded of them, in the same transaction."""
    found = ctx.db.query(f"SELECT id, user_id, email, created_at{rows.source}", **rows.values)
    for some in chunked(found, IDS_AT_ONCE):
        ctx.db.execute("DELETE FROM {destination_verifications} WHERE destination_id IN (:gone)",
                       gone=[row["id"] for row in some])
    for row in found:
        audit.record(ctx.db, now=ctx.clock(), user_id=row["user_id"], event=EVENT, details={
            "destination_id": row["id"], "email": row["email"], "created_at": row["created_at"]})


TOKENS = Purge("destination_verifications", (Rule("expires_at", option=None),))
UNUSED = Purge("destinations", (
    Rule("created_at", "verified_at IS NULL", "remove_after", also=_may_go),))


# Notices

def _to_go(after: timedelta) -> Reminder:
    """The warning of removals `after` so long."""
    def due(ctx) -> tuple[str, dict]:
        sql = ("verified_at IS NULL AND created_at >= :first AND created_at < :announced AND "
               "(removal_notified_at IS NULL OR removal_notified_at < :first) AND "
               f"{USE} IS NULL")
        return sql, {"first": clock.FIRST,
                     "announced": guard.announced(ctx.options, ctx.now, after)}

    def values(ctx, user: dict, rows: list[dict]) -> dict:
        """`removed` is a promise: not before that, however late the mail."""
        soonest, shown = ctx.clock() + ctx.options.warn_before, _values(ctx, user, rows)
        ends = [max(clock.parse(row["created_at"]) + after, soonest) for row in rows]
        for item, end in zip(shown["destinations"], ends):
            item["removed"] = render.minute(end)
        return {**shown, "first_day": render.day(min(ends))}

    return Reminder("destination_removal", "destinations", "created_at", ("email",), due,
                    ("removal_notified_at", "reminded_at"), "destination-removal:{id}:{day}",
                    values, LISTS)


def _due_reminder(ctx) -> tuple[str, dict]:
    """Not where the removal is announced instead."""
    sql = ("verified_at IS NULL AND created_at >= :first AND created_at < :remind_from AND "
           f"reminded_at IS NULL AND removal_notified_at IS NULL AND (created_at >= :announced "
           f"OR {USE} IS NOT NULL)")
    return sql, {"first": clock.FIRST, "remind_from": ctx.now - ctx.options.remind_after,
                 "announced": guard.announced(ctx.options, ctx.now, ctx.options.remove_after)}


def _values(ctx, user: dict, rows: list[dict]) -> dict:
    first = rows[0]["email"]
    if str(first).lower() == str(user["email"]).lower():
        first = "your address"          # filters score a subject that names its own reader
    return {
        "count": len(rows), "many": len(rows) > 1, "first_email": first,
        "destinations": [{"email": row["email"],
                          "added": render.day(clock.parse(row["created_at"]))} for row in rows]}


UNVERIFIED = Reminder("destination_reminder", "destinations", "created_at", ("email",),
                      _due_reminder, ("reminded_at",), "destination-reminder:{id}:{created_at}",
                      _values)
