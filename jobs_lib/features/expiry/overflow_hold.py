"""Held mail: warning its owner before it is deleted, and deleting what was warned of in time."""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import one_line
from jobs_lib.engines.purge import begin, delete
from jobs_lib.features.notifications import render, warnings
from jobs_lib.features.notifications.reminders import Reminder, remind
from jobs_lib.text import size

NOTICE = timedelta(hours=24)        # between a sent warning and deleting: the owner's time to act
SUBJECT_SHOWN = 200                 # signs: a line of the mail, not a page of it
LISTS = "{notifications}.id = {overflow_hold}.warning_id AND {overflow_hold}.released_at IS NULL"
IS_WARNED = ("{overflow_hold}.warned_at IS NOT NULL AND "
             + warnings.warned_sql("overflow_hold", "{overflow_hold}.held_at", LISTS))


def is_warned(ctx, keep: timedelta) -> tuple[str, dict]:
    """(SQL, values): the owner was warned in time of a message that is held for longer than
    `keep`."""
    return IS_WARNED, warnings.warned_values(ctx, NOTICE, keep)


def expire(ctx, declared) -> dict:
    """Warn, then delete what was warned of in time. The counts.

    A `keep` that was shortened by mistake does not count yet, so it writes no warning.
    """
    limits, due = begin(ctx, declared)
    if not due:
        return ctx.counts
    ctx.count("notices", 0)
    if keep := limits["keep"]:
        remind(ctx, _warning(keep))
    return delete(ctx, declared.table, due, declared.files)


def _warning(keep: timedelta) -> Reminder:
    """One an owner and day: what comes later waits for tomorrow's."""
    def due(ctx) -> tuple[str, dict]:
        sql = ("released_at IS NULL AND warned_at IS NULL AND held_at >= :first "
               "AND held_at < :warned_from")
        return sql, {"first": clock.FIRST, "warned_from": ctx.now - keep + ctx.options.warn_before}

    return Reminder("overflow_warning", "overflow_hold", "held_at",
                    ("alias_id", "sender", "subject", "size_bytes"), due,
                    ("warned_at", "warning_id"), "overflow-warning:{user_id}:{day}",
                    partial(_values, keep), LISTS)


def _values(keep: timedelta, ctx, user: dict, rows: list[dict]) -> dict:
    """What the templates show. `gone` is a promise: never before that, however late the mail."""
    soonest, key = ctx.clock() + NOTICE, partial(ctx.db.key, "aliases")
    gone = [max(clock.parse(row["held_at"]) + keep, soonest) for row in rows]
    aliases = {key(row["id"]): row["address"] for row in ctx.db.query(
        "SELECT id, address FROM {aliases} WHERE id IN (:ids)",
        ids={row["alias_id"] for row in rows} - {None})}
    return {
        "count": len(rows), "many": len(rows) > 1, "kept": render.span(keep),
        "first_day": render.day(min(gone)), "first": render.minute(min(gone)),
        "messages": [{"sender": render.unlinked(row["sender"]) or "(no sender)",
                      "subject": render.unlinked(one_line(row["subject"], SUBJECT_SHOWN))
                      or "(no subject)",
                      "alias": aliases.get(key(row["alias_id"]), "a deleted alias"),
                      "received": render.minute(clock.parse(row["held_at"])),
                      "size": size(row["size_bytes"], 1000),
                      "gone": render.minute(end)} for row, end in zip(rows, gone)]}
