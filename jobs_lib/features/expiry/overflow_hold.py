"""Held mail: warning its owner before it is deleted, and telling when a warning has been out for
long enough."""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import one_line
from jobs_lib.engines.purge import begin, finish
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.reminders import Reminder, remind
from jobs_lib.text import size

KIND = "overflow_warning"
NOTICE = timedelta(hours=24)        # between a sent warning and deleting: the owner's time to act
# a warning that waits longer than this to be sent holds nothing back any more
GIVEN_UP = timedelta(days=7)
SUBJECT_SHOWN = 200                 # signs: a line of the mail, not a page of it

# Values, not EXISTS: that MariaDB may answer by reading all notices that were ever sent.
ITS_WARNING = " FROM {notifications} WHERE {notifications}.id = {overflow_hold}.warning_id"
FINISHED = ("(SELECT COALESCE({notifications}.sent_at, {notifications}.finished_at,"
            f" {{notifications}}.created_at){ITS_WARNING}"
            " AND {notifications}.status IN ('sent', 'failed'))")
WARNED = (f"{{overflow_hold}}.warned_at IS NOT NULL AND ({FINISHED} <= :warned_by"
          f" OR {{overflow_hold}}.warned_at <= :given_up AND {FINISHED} IS NULL)")
UNSENT = ("({overflow_hold}.warning_id IS NULL OR "
          f"(SELECT {{notifications}}.status{ITS_WARNING}) <> 'sent')")


def is_warned(ctx) -> tuple[str, dict]:
    """(SQL, values): the owner has had the warning that lists this message for 24 hours, or cannot
    be warned.

    A warning counts from when it was sent, or given up; one that still waits, that is no longer
    there, or that could not be addressed, lets go 7 days after it was written.
    """
    return WARNED, {"warned_by": ctx.now - NOTICE, "given_up": ctx.now - GIVEN_UP}


def expire(ctx, declared) -> dict:
    """Warn, then delete what has been warned of for long enough. The counts.

    A `keep` that was shortened by mistake writes no warning: the purge looks at that first.
    """
    due = begin(ctx, declared)
    if due is None:
        return ctx.counts
    ctx.counts.update(notices=0, waiting=0)
    if ctx.options.keep is not None:
        _warn(ctx)
    return finish(ctx, due)


def _warn(ctx) -> None:
    """Queue the warnings that are owed, and count what waits for its warning: `waiting`.

    Also logs how many messages are about to be deleted although their warning was never sent:
    `unwarned`.
    """
    counts = ctx.counts
    remind(ctx, WARNING)
    sql, values = is_warned(ctx)
    past = {"past": ctx.now - ctx.options.keep, **values}
    held = "SELECT COUNT(*) FROM {overflow_hold} WHERE released_at IS NULL AND held_at < :past"
    counts["waiting"] = ctx.db.value(f"{held} AND CASE WHEN {sql} THEN 0 ELSE 1 END = 1", **past)
    unwarned = ctx.db.value(f"{held} AND {sql} AND {UNSENT}", **past)
    if unwarned:
        counts["unwarned"] = unwarned
        if not ctx.dry_run:
            ctx.log.warning("held mail expires though its warning was not sent", number=unwarned)
    if ctx.dry_run and counts["waiting"]:
        ctx.show(f"keep {counts['waiting']:,} past their time: their warning is not 24 hours old",
                 [])


def _due(ctx) -> tuple[str, dict]:
    return ("released_at IS NULL AND warned_at IS NULL AND held_at < :warned_from",
            {"warned_from": ctx.now - ctx.options.keep + ctx.options.warn_before})


def _key(ctx, user_id: int, rows: list[dict]) -> str:
    return f"overflow-warning:{user_id}:{ctx.now:%Y-%m-%d}"


def _values(ctx, user: dict, rows: list[dict]) -> dict:
    """What the templates show. `gone` is a promise: never before that, however late the mail."""
    soonest = ctx.clock() + NOTICE
    gone = {row["id"]: max(clock.parse(row["held_at"]) + ctx.options.keep, soonest) for row in rows}
    key = partial(ctx.db.key, "aliases")
    aliases = {key(row["id"]): row["address"] for row in ctx.db.query(
        "SELECT id, address FROM {aliases} WHERE id IN (:ids)",
        ids={row["alias_id"] for row in rows})}
    first = min(gone.values())
    return {
        "count": len(rows), "many": len(rows) > 1, "kept": render.span(ctx.options.keep),
        "first_day": render.day(first), "first": render.minute(first),
        "messages": [{"sender": row["sender"] or "(no sender)",
                      "subject": one_line(row["subject"], SUBJECT_SHOWN) or "(no subject)",
                      "alias": aliases.get(key(row["alias_id"]), "a deleted alias"),
                      "received": render.minute(clock.parse(row["held_at"])),
                      "size": size(row["size_bytes"], 1000),
                      "gone": render.minute(gone[row["id"]])} for row in rows],
    }


WARNING = Reminder(kind=KIND, table="overflow_hold", age="held_at", due=_due,
                   notified=("warned_at",), notice="warning_id", daily=True, key=_key,
                   values=_values,
                   statuses=("active", "suspended"), columns=("alias_id", "sender", "subject",
                                                              "size_bytes"))
