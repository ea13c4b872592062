"""Destinations that were never verified: reminding their owners, and removing them long after, with
a notice before."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.database.values import chunked
from jobs_lib.engines import audit
from jobs_lib.engines.purge import begin, finish
from jobs_lib.engines.rules import Purge, Rule
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.reminders import Reminder, remind

EVENT = "destination.removed"
REMOVAL = "destination_removal"
# a notice that waits longer than this to be sent holds nothing back any more
GIVEN_UP = timedelta(days=7)
# a notice so old is written again: removals were off, or an alias used it meanwhile
FORGOTTEN = timedelta(days=30)
IDS_AT_ONCE = 500

# Values, not EXISTS: that MariaDB may answer by reading the whole of the other table.
USE = ("(SELECT MIN({alias_destinations}.alias_id) FROM {alias_destinations}"
        " WHERE {alias_destinations}.destination_id = {destinations}.id)")
# By its owner too: where most forwards name no destination, an engine would rather read all of them
# than that index.
AWAITED = ("(SELECT MIN({failed_emails}.id) FROM {failed_emails} WHERE {failed_emails}.user_id ="
           " {destinations}.user_id AND {failed_emails}.destination_id = {destinations}.id"
           " AND {failed_emails}.status IN ('pending', 'sending'))")
# The notice of a removal has the very time with which it marked its rows. It counts from when it
# was sent, or given up; where it is no longer there, from the mark (purge_notifications keeps it
# for as long as it matters).
TOO_FRESH = ("(SELECT MIN({notifications}.id) FROM {notifications} WHERE {notifications}.user_id ="
             " {destinations}.user_id AND {notifications}.kind = :removal_kind"
             " AND {notifications}.created_at = {destinations}.removal_notified_at"
             " AND ({notifications}.finished_at > :notified_by "
             "OR ({notifications}.status IN ('pending', 'sending')"
             " AND {notifications}.created_at > :given_up)))")


def remove(ctx) -> None:
    """Queue the notices of removals, then remove what was announced long enough ago, counted as
    `notices` and `deleted`.

    Notices come after the purge has looked whether a limit was shortened by mistake: such a mistake
    writes no mail.
    """
    due = begin(ctx, UNUSED)
    if due is None:
        return
    remind(ctx, TO_GO)
    finish(ctx, due, within=lambda _, rows: _with_them(ctx, rows))


def _may_go(ctx) -> tuple[str, dict]:
    """Told of for `warn_before` at least, used by no alias, awaited by no forward; judged in the
    DELETE itself."""
    sql = ("removal_notified_at <= :notified_by AND removal_notified_at >= :forgotten"
           f" AND {USE} IS NULL AND {AWAITED} IS NULL AND {TOO_FRESH} IS NULL")
    return sql, {"notified_by": ctx.now - ctx.options.warn_before, "forgotten": _forgotten(ctx),
                 "given_up": ctx.now - GIVEN_UP, "removal_kind": REMOVAL}


def _with_them(ctx, rows) -> None:
    """What is deleted with destinations, and what is recorded of them, in the same transaction."""
    found = ctx.db.query(f"SELECT id, user_id, email, created_at{rows.source}", **rows.values)
    for some in chunked(found, IDS_AT_ONCE):
        ctx.db.execute("DELETE FROM {destination_verifications} WHERE destination_id IN (:gone)",
                       gone=[row["id"] for row in some])
    audit.record_all(ctx.db, now=ctx.clock(), event=EVENT, entries=[
        (row["user_id"], {"destination_id": row["id"], "email": row["email"],
                          "created_at": row["created_at"]})
        for row in found])


TOKENS = Purge("destination_verifications", (Rule("expires_at", option=None),))
UNUSED = Purge("destinations", (
    Rule("created_at", only={"verified_at": None}, option="remove_after", also=_may_go),))


# Notices

def _announced_from(ctx):
    """Of a destination created before this, the removal is announced."""
    return ctx.now - max(ctx.options.remove_after - ctx.options.warn_before, timedelta(0))


def _forgotten(ctx):
    """A notice from before this no longer counts."""
    return ctx.now - ctx.options.warn_before - FORGOTTEN


def _due_removal(ctx) -> tuple[str, dict]:
    sql = ("verified_at IS NULL AND created_at < :announced_from"
           " AND (removal_notified_at IS NULL OR removal_notified_at < :forgotten) "
           f"AND {USE} IS NULL")
    return sql, {"announced_from": _announced_from(ctx), "forgotten": _forgotten(ctx)}


def _due_reminder(ctx) -> tuple[str, dict]:
    sql = ("verified_at IS NULL AND created_at < :remind_from AND reminded_at IS NULL"
           " AND removal_notified_at IS NULL")
    values = {"remind_from": ctx.now - ctx.options.remind_after}
    not_announced, more = _is_not_announced(ctx)
    return f"{sql} AND {not_announced}", {**values, **more}


def _reminder_key(ctx, user_id: int, rows: list[dict]) -> str:
    return f"destination-reminder:{rows[0]['id']}:{rows[0]['created_at']}"


def _removal_key(ctx, user_id: int, rows: list[dict]) -> str:
    return f"destination-removal:{rows[0]['id']}:{ctx.now:%Y-%m-%d}"


def _values(ctx, user: dict, rows: list[dict]) -> dict:
    first = rows[0]["email"]
    if str(first).lower() == str(user["email"]).lower():
        first = "your address"          # filters score a subject that names its own reader
    return {
        "count": len(rows), "many": len(rows) > 1, "first_email": first,
        "destinations": [{"email": row["email"],
                          "added": render.day(clock.parse(row["created_at"]))} for row in rows],
    }


def _removal_values(ctx, user: dict, rows: list[dict]) -> dict:
    """`removed` is a promise: not before that, however late the mail."""
    values, soonest = _values(ctx, user, rows), ctx.clock() + ctx.options.warn_before
    ends = [max(clock.parse(row["created_at"]) + ctx.options.remove_after, soonest) for row in rows]
    for item, end in zip(values["destinations"], ends):
        item["removed"] = render.minute(end)
    return {**values, "first_day": render.day(min(ends))}


UNVERIFIED = Reminder(kind="destination_reminder", table="destinations", age="created_at",
                      columns=("email",), due=_due_reminder, notified=("reminded_at",),
                      key=_reminder_key, values=_values)
TO_GO = Reminder(kind=REMOVAL, table="destinations", age="created_at", columns=("email",),
                 due=_due_removal, notified=("removal_notified_at", "reminded_at"),
                 key=_removal_key, values=_removal_values, must_know=True)


def _is_not_announced(ctx) -> tuple[str, dict]:
    """What is due for the notice of its removal gets that one instead."""
    if ctx.options.remove_after is None:
        return "1 = 1", {}
    return (f"(created_at >= :announced_from OR {USE} IS NOT NULL)",
            {"announced_from": _announced_from(ctx)})
