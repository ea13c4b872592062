"""What has an end: aliases, destinations that were never verified, and mail held over a limit.

An alias is switched off when its end has come; its owner is notified before and after. The others
are deleted, never without a warning that was sent in time. A limit that was shortened by mistake
does not count yet, so it writes no warning either.
"""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib import clock
from jobs_lib.database.stored import chunked
from jobs_lib.engines import guard
from jobs_lib.engines.purge import SAMPLE_ROWS, Purge, Rule, begin, delete, note_invalid, run
from jobs_lib.features.notifications import notices, render
from jobs_lib.features.notifications.reminders import Reminder, alone, owners, remind, remind_owner
from jobs_lib.text import counted, one_line, size

AT_ONCE = 500  # ids in one statement, aliases of one owner in one run

# Aliases

# of an older end nobody is notified any more: it was long ago, as on a first run
NEWS = timedelta(days=7)
PAST = "active = 1 AND expires_at >= :first AND expires_at < :ended"
# Bare, the condition would make SQLite read those of all owners by their time, for each of them.
OF_OWNER = ("SELECT id, user_id, address, expires_at FROM {aliases} WHERE user_id = :user_id "
            f"AND CASE WHEN {PAST} THEN 1 ELSE 0 END = 1 ORDER BY expires_at, id LIMIT :most")


def expire_aliases(ctx) -> None:
    """Switch off what is past its end, an owner at a time, each with its audit rows and its notice
    in one commit; then announce what is about to end. A dry run shows it."""
    are_many = not guard.stops(ctx, "aliases") and _switch_all_off(ctx)
    if ctx.options.warn_before is not None and not ctx.should_stop():
        remind(ctx, EXPIRING)
    if are_many:
        ctx.stop(f"one owner had {AT_ONCE} aliases past their end, or more")


def _switch_all_off(ctx) -> bool:
    """Whether some of an owner may be left."""
    are_many = False
    note_invalid(ctx, "aliases", "expires_at", "active = 1")
    past = {"first": clock.FIRST, "ended": ctx.now}
    sample: list[dict] = []
    for user_id in owners(ctx, "aliases", "expires_at", PAST, past):
        with alone(ctx, user_id):
            rows = ctx.db.batch(partial(_switch_off, ctx, user_id, past))
            are_many = are_many or len(rows) == AT_ONCE
            sample += rows[:SAMPLE_ROWS - len(sample)]
        ctx.sleep(0 if ctx.dry_run else ctx.db.dialect.batches.pause)
        if ctx.should_stop(ctx.counts["expired"]):
            break
    if ctx.dry_run:
        ctx.show(f"deactivate {counted(ctx.counts['expired'], 'alias', 'aliases')}, with "
                 f"{counted(ctx.counts['notices'], 'notice')}", sample)
    return are_many


def _switch_off(ctx, user_id, past: dict) -> list[dict]:
    """Those of this owner that are past their end, which are locked. A transaction."""
    rows = ctx.db.query(OF_OWNER + ctx.db.for_update, user_id=user_id, **past,
                        most=ctx.within_limit(AT_ONCE, ctx.counts["expired"]))
    if rows and not ctx.dry_run:
        ctx.db.execute("UPDATE {aliases} SET active = 0 WHERE id IN (:ids)",
                       ids=[row["id"] for row in rows])
        for row in rows:
            notices.audit(ctx, user_id, "alias.expired", {
                "alias_id": row["id"], "address": row["address"], "expires_at": row["expires_at"]})
    ctx.count("expired", len(rows))
    news = [row for row in rows if ctx.options.notify_expired
            and (end := clock.parse_any(row["expires_at"])) and end >= ctx.now - NEWS]
    if news:
        remind_owner(ctx, EXPIRED, user_id, news)
    return rows


def _due_aliases(ctx) -> tuple[str, dict]:
    """Those that end soon, and whose owner was not notified of this end: a notice from before its
    span was about an earlier one. What is past its end is switched off instead."""
    span = ctx.options.warn_before
    known = ctx.db.dialect.later("expiry_notified_at", int(span.total_seconds()))
    sql = (f"active = 1 AND expires_at >= :ended AND expires_at < :announced AND CASE WHEN {known} "
           ">= expires_at THEN 0 ELSE 1 END = 1")
    return sql, {"ended": ctx.now, "announced": ctx.now + span}


def _alias_values(ctx, user: dict, rows: list[dict]) -> dict:
    ends = [clock.parse(row["expires_at"]) for row in rows]
    return {
        "first_address": rows[0]["address"],
        "first_day": render.day(ends[0]),
        "aliases": [{"address": row["address"], "ends": render.minute(end)}
                    for row, end in zip(rows, ends)]}


EXPIRING = Reminder("alias_expiring", "aliases", "expires_at", ("address",), _due_aliases,
                    ("expiry_notified_at",), "alias-expiring:{id}:{expires_at}", _alias_values)
EXPIRED = Reminder("alias_expired", "aliases", "expires_at", ("address",), due=None,
                   key="alias-expired:{id}:{expires_at}", values=_alias_values)


# Destinations

# Values, not EXISTS: that MariaDB may answer by reading the whole of the other table.
USE = ("(SELECT MIN({alias_destinations}.alias_id) FROM {alias_destinations}"
       " WHERE {alias_destinations}.destination_id = {destinations}.id)")
# By its owner too: where most forwards name no destination, an engine would rather read all of them
# than that index.
AWAITED = ("(SELECT MIN({failed_emails}.id) FROM {failed_emails} WHERE {failed_emails}.user_id ="
           " {destinations}.user_id AND {failed_emails}.destination_id = {destinations}.id"
           " AND {failed_emails}.status IN ('pending', 'sending'))")
# The warning has the very time with which it marked its rows.
REMOVAL_OF = ("{notifications}.user_id = {destinations}.user_id"
              " AND {notifications}.kind = 'destination_removal'"
              " AND {notifications}.created_at = {destinations}.removal_notified_at"
              " AND {destinations}.verified_at IS NULL")


def expire_destinations(ctx) -> dict:
    """Delete tokens, remind, warn of removals, remove. The counts."""
    counts, options = ctx.counts, ctx.options
    run(ctx, TOKENS)
    counts.update(tokens=counts.pop("deleted"), notices=0, removed=0)
    if options.remind_after is not None and ctx.may_expire() and not ctx.should_stop():
        remind(ctx, UNVERIFIED)
    if options.remove_after is not None and not ctx.should_stop():
        _remove_destinations(ctx)
        counts["removed"] = counts.pop("deleted")
    return counts


def _remove_destinations(ctx) -> None:
    """Queue the warnings, then remove what was warned of in time."""
    limits, due = begin(ctx, UNUSED)
    if due and (after := limits["remove_after"]) and not guard.stops(
            ctx, "destinations", announced=guard.announced(ctx.options, ctx.now, after)):
        remind(ctx, REMOVAL, after)
        delete(ctx, "destinations", due, within=lambda _, rows: _with_them(ctx, rows))


def _removal_warned(ctx, after: timedelta) -> tuple[str, dict]:
    return notices.warned(ctx, "destinations", "created_at", REMOVAL_OF,
                          ctx.options.warn_before, after)


def _may_go(ctx, after: timedelta) -> tuple[str, dict]:
    """Its owner was warned, no alias uses it, no forward waits for it."""
    warned, values = _removal_warned(ctx, after)
    return f"{USE} IS NULL AND {AWAITED} IS NULL AND {warned} <= :warned_by", values


def _with_them(ctx, rows) -> None:
    """What is deleted with destinations, and what is recorded of them, in the same transaction."""
    found = ctx.db.query(f"SELECT id, user_id, email, created_at{rows.source}", **rows.values)
    for some in chunked(found, AT_ONCE):
        ctx.db.execute("DELETE FROM {destination_verifications} WHERE destination_id IN (:gone)",
                       gone=[row["id"] for row in some])
    for row in found:
        notices.audit(ctx, row["user_id"], "destination.removed", {
            "destination_id": row["id"], "email": row["email"], "created_at": row["created_at"]})


TOKENS = Purge("destination_verifications", (Rule("expires_at", option=None),))
UNUSED = Purge("destinations", (
    Rule("created_at", "verified_at IS NULL", "remove_after", also=_may_go),))


def _due_removals(ctx, after: timedelta) -> tuple[str, dict]:
    """Those that are removed `after` so long."""
    warned, values = _removal_warned(ctx, after)
    sql = ("verified_at IS NULL AND created_at >= :first AND created_at < :announced "
           f"AND {USE} IS NULL AND {warned} IS NULL")
    return sql, {**values, "first": clock.FIRST,
                 "announced": guard.announced(ctx.options, ctx.now, after)}


def _removal_values(ctx, user: dict, rows: list[dict], after: timedelta) -> dict:
    """`removed` is a promise: not before that, however late the mail."""
    soonest = ctx.clock() + ctx.options.warn_before
    shown = _their_values(ctx, user, rows)
    ends = [max(clock.parse(row["created_at"]) + after, soonest) for row in rows]
    for item, end in zip(shown["destinations"], ends):
        item["removed"] = render.minute(end)
    return {**shown, "first_day": render.day(min(ends))}


def _due_destinations(ctx) -> tuple[str, dict]:
    """Not where the removal is announced instead."""
    sql = ("verified_at IS NULL AND created_at >= :first AND created_at < :remind_from AND "
           f"reminded_at IS NULL AND removal_notified_at IS NULL AND (created_at >= :announced "
           f"OR {USE} IS NOT NULL)")
    return sql, {"first": clock.FIRST, "remind_from": ctx.now - ctx.options.remind_after,
                 "announced": guard.announced(ctx.options, ctx.now, ctx.options.remove_after)}


def _their_values(ctx, user: dict, rows: list[dict]) -> dict:
    first = rows[0]["email"]
    if str(first).lower() == str(user["email"]).lower():
        first = "your address"  # filters score a subject that names its own reader
    return {
        "first_email": first,
        "destinations": [{"email": row["email"],
                          "added": render.day(clock.parse(row["created_at"]))} for row in rows]}


REMOVAL = Reminder("destination_removal", "destinations", "created_at", ("email",), _due_removals,
                   ("removal_notified_at", "reminded_at"), "destination-removal:{id}:{day}",
                   _removal_values, REMOVAL_OF)
UNVERIFIED = Reminder("destination_reminder", "destinations", "created_at", ("email",),
                      _due_destinations, ("reminded_at",),
                      "destination-reminder:{id}:{created_at}", _their_values)


# Held mail

NOTICE = timedelta(hours=24)        # between a sent warning and deleting: the owner's time to act
SUBJECT_SHOWN = 200                 # signs: a line of the mail, not a page of it
HELD_OF = "{notifications}.id = {overflow_hold}.warning_id AND {overflow_hold}.released_at IS NULL"


def _held_warned(ctx, keep: timedelta) -> tuple[str, dict]:
    return notices.warned(ctx, "overflow_hold", "held_at", HELD_OF, NOTICE, keep)


def is_warned(ctx, keep: timedelta) -> tuple[str, dict]:
    """(SQL, values): the owner was warned in time."""
    warned, values = _held_warned(ctx, keep)
    return f"{warned} <= :warned_by", values


def expire_held(ctx, declared) -> dict:
    """Warn, then delete what was warned of in time. The counts."""
    limits, due = begin(ctx, declared)
    if not due:
        return ctx.counts
    ctx.count("notices", 0)
    if keep := limits["keep"]:
        remind(ctx, WARNING, keep)
    return delete(ctx, declared.table, due, declared.files)


def _due_warnings(ctx, keep: timedelta) -> tuple[str, dict]:
    warned, values = _held_warned(ctx, keep)
    sql = ("released_at IS NULL AND held_at >= :first AND held_at < :warned_from "
           f"AND {warned} IS NULL")
    return sql, {**values, "first": clock.FIRST,
                 "warned_from": ctx.now - keep + ctx.options.warn_before}


def _held_values(ctx, user: dict, rows: list[dict], keep: timedelta) -> dict:
    """What the templates show. `gone` is a promise: never before that, however late the mail."""
    soonest = ctx.clock() + NOTICE
    gone = [max(clock.parse(row["held_at"]) + keep, soonest) for row in rows]
    aliases = {row["id"]: row["address"] for row in ctx.db.query(
        "SELECT id, address FROM {aliases} WHERE id IN (:ids)",
        ids={row["alias_id"] for row in rows} - {None})}
    return {
        "kept": render.span(keep),
        "first_day": render.day(min(gone)), "first": render.minute(min(gone)),
        "messages": [{"sender": render.unlinked(row["sender"]) or "(no sender)",
                      "subject": render.unlinked(one_line(row["subject"], SUBJECT_SHOWN))
                      or "(no subject)",
                      "alias": aliases.get(row["alias_id"], "a deleted alias"),
                      "received": render.minute(clock.parse(row["held_at"])),
                      "size": size(row["size_bytes"], 1000),
                      "gone": render.minute(end)} for row, end in zip(rows, gone)]}


# One an owner and day: what comes later waits for tomorrow's.
WARNING = Reminder("overflow_warning", "overflow_hold", "held_at",
                   ("alias_id", "sender", "subject", "size_bytes"), _due_warnings,
                   ("warned_at", "warning_id"), "overflow-warning:{user_id}:{day}", _held_values,
                   HELD_OF)
