"""What the rows that an app has count as, once a column of ours is added to their table, and what
keeps that from making them due.

Each statement of OLD_ROWS is in our notation, has no time but `:now`, `:tomorrow` and `:oldest`,
and is left out where the table has not yet the columns that it `needs`. `:oldest`: what came in
before is past its time in its queue; what came in later is spared. Its condition holds for no row
that it has changed, so that what is left to be changed can be asked for.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple
from jobs_lib.text import span

from . import ddl
from .tables import NO_DEFAULT

Old = namedtuple("Old", "words closings", defaults=((),))
Old.__doc__ = """Of one column.

words     what old rows count as; `{life}` is how old an item of its queue gets
closings  Closings that can be run in this order, behind the ALTER
"""
Closing = namedtuple("Closing", "sets where needs if_own", defaults=((), None))
Closing.__doc__ = """An UPDATE of the column's table, the other columns that have to be there
before, and (a column, whether the app has to have had it itself) or None."""

UNFINISHED = "status IN ('pending', 'sending')"      # the latter in flight by the app's own sender
# the ones that are pending stay so, and are notified of and ended when that is known
_TOLD = Closing("told_at = :now", "told_at IS NULL AND status = 'failed'", ("told_at", "status"))
_ENDED = Closing("finished_at = :now",
                 "finished_at IS NULL AND status NOT IN ('pending', 'sending')",
                 ("finished_at", "status"))
_PENDING = ("those that are pending and younger than {life} are sent by the next run; the older "
            "are given up by this, without an attempt or a notice")
_WAITING = ("pending: those younger than {life} are sent by the next run, also what your app has "
            "sent already; the older are given up by this, without an attempt or a notice")
_UNDATED = ("of the moment in which this is run, so that all that are {word} would be {done}; this "
            "gives them up")
_GIVEN_UP = Closing("status = 'failed'", f"{UNFINISHED} AND created_at < :oldest",
                    ("status", "created_at"))
_ALL_GIVEN_UP = Closing("status = 'failed'", UNFINISHED, ("status",))
_EXPORTS = "status IN ('queued', 'running')"
_EXPORTS_GIVEN_UP = Closing("status = 'expired'", f"{_EXPORTS} AND requested_at < :oldest",
                            ("status", "requested_at"))

OLD_ROWS = {
    "users.email": Old("without an address, so that no notice reaches them"),
    "users.status": Old("active"),
    "users.deleted_at": Old("not deleted; those of status `deleted` count as deleted when a run "
                            "sees them first, and are erased [delete_accounts] grace later"),
    "users.log_retention_days": Old("kept as long as [purge_message_logs] keep says"),
    "aliases.active": Old("active, so that those past their end would be deactivated, with a "
                          "notice", (Closing("active = 0", "active = 1 AND expires_at < :now",
                                             ("expires_at",)),)),
    "aliases.expires_at": Old("without an end"),
    "aliases.expiry_notified_at": Old(
        "not announced, so that the owners of those that end soon would be notified",
        (Closing("expiry_notified_at = :now",
                 "expiry_notified_at IS NULL AND expires_at IS NOT NULL", ("expires_at",)),)),
    "destinations.verified_at": Old(
        "not verified, so that their owners would be reminded, and they be removed after 30 days",
        (Closing("verified_at = :now", "verified_at IS NULL"),)),
    "destinations.reminded_at": Old(
        "not reminded of, so that the owners of those that are not verified would be",
        (Closing("reminded_at = :now", "reminded_at IS NULL AND verified_at IS NULL",
                 ("verified_at",)),)),
    "destinations.removal_notified_at": Old(
        "not announced: those that are not verified within 27 days are, and removed 3 days "
        "later; [expire_destination_verifications] remove_after = off keeps them"),
    "domains.ownership_token": Old("without a token, so their status stays as it is until your app "
                                   "gives them one"),
    "domains.status": Old(
        "pending, so that those of more than {life} would be given up, with a notice. By this, "
        "those that your app has verified count as verified, or all where it does not say; of the "
        "others those of more than {life} are given up without a notice",
        (Closing("status = 'verified'", "status = 'pending' AND verified_at IS NOT NULL",
                 if_own=("verified_at", True)),
         Closing("status = 'failed'", "status = 'pending' AND created_at < :oldest",
                 ("created_at",), ("verified_at", True)),
         Closing("status = 'verified'", "status = 'pending'", if_own=("verified_at", False)))),
    "domains.next_check_at": Old("due for a check", (
        Closing("next_check_at = :tomorrow", "next_check_at IS NULL"),)),
    "failed_emails.status": Old(_WAITING, (
        _GIVEN_UP, _TOLD, _ENDED)),
    "failed_emails.attempts": Old("not tried"),
    "failed_emails.next_attempt_at": Old(f"not scheduled: {_PENDING}", (
        _GIVEN_UP, _TOLD, _ENDED)),
    "failed_emails.created_at": Old(_UNDATED.format(word="pending", done="sent"), (
        _ALL_GIVEN_UP, _TOLD, _ENDED)),
    "failed_emails.finished_at": Old("ended when they came in, so that purge_failed_emails would "
                                     "delete those that have", (_ENDED,)),
    "failed_emails.told_at": Old(
        "not reported, so that the owners of those that have failed would be notified",
        (_TOLD,)),
    "overflow_hold.warned_at": Old("not warned of: their owners are, before they are deleted"),
    "overflow_hold.released_at": Old("held: their owners are warned, then they are deleted"),
    "webhook_deliveries.status": Old(_WAITING, (_GIVEN_UP,)),
    "webhook_deliveries.attempts": Old("not tried"),
    "webhook_deliveries.next_attempt_at": Old(f"not scheduled: {_PENDING}", (
        _GIVEN_UP,)),
    "webhook_deliveries.last_attempt_at": Old(f"not tried: {_PENDING}", (
        _GIVEN_UP,)),
    "webhook_deliveries.created_at": Old(_UNDATED.format(word="pending", done="sent"), (
        _ALL_GIVEN_UP,)),
    "export_requests.status": Old(
        "asked for: those younger than {life} are made by the next run; the older are given up by "
        "this, without a notice", (_EXPORTS_GIVEN_UP,)),
    "export_requests.requested_at": Old(_UNDATED.format(word="queued", done="made"), (
        Closing("status = 'expired'", _EXPORTS, ("status",)),)),
}


def words(table, column, life: timedelta) -> str:
    """What old rows count as, once this column is added; `life` is that of the table's queue."""
    if found := OLD_ROWS.get(f"{table.name}.{column.name}"):
        return found.words.format(life=span(life))
    if column.type == "now":
        return "of the moment in which this is run"
    if column.default is not NO_DEFAULT:
        return f"{column.default!r}"
    meaning = column.about.partition("NULL:")[2].partition(";")[0].strip()
    return meaning or "NULL"


def is_noted(table, column) -> bool:
    """Whether old rows may become due by this column, or what keeps them from it depends on
    whether the app had it."""
    ours = [OLD_ROWS.get(f"{table.name}.{each.name}", Old("")) for each in table.columns]
    return (column.type == "now" or bool(ours[table.columns.index(column)].closings)
            or any(each.if_own and column.name == each.if_own[0]
                   for old in ours for each in old.closings))


def closings(db, table, column, there: set, life: timedelta, now,
             until: str | None = None, added=frozenset()) -> list[str]:
    """The statements that keep old rows from being due, each as the database takes it. `there`: the
    columns that the table has by then, by our names; `added`: those of them that the app did not
    have. `until`, SQL: which rows are old; then only from the first statement on that has any to
    change.

    A column that changes with each update of its row keeps its value. What sets an expression that
    can only be read is left out. Where settings of the client would matter, they come first: its
    time zone, as for a TIMESTAMP, since the times in the statements are UTC, and what `||` means.
    """
    found = [] if column.type != "now" or db.dialect.adds_now else [
        Closing(f"{column.name} = :now", f"{column.name} IS NULL")]
    found += OLD_ROWS.get(f"{table.name}.{column.name}", Old("")).closings
    times = {"now": now, "tomorrow": now + timedelta(days=1), "oldest": now - life}
    ours = {each.name for each in table.columns}
    known = {name: facts for name, facts in db.catalogue([table.name]).get(table.name, {}).items()
             if name in ours}
    kept = [name for name, facts in known.items() if facts["touched"]]
    expressions = db.name.expressions.get(table.name, {})
    read_only = [name for name, expression in expressions.items() if not expression.writes]
    done: list[str] = []
    for each in found:
        if not there.issuperset(each.needs) or _column(each) in read_only:
            continue
        if each.if_own and (each.if_own[0] in there - added) != each.if_own[1]:
            continue
        where = _dated(each.where + (until or ""), times)
        if until is not None and not done and not db.query(db.as_text(
                f"SELECT 1 AS one FROM {{{table.name}}} WHERE {where} LIMIT 1")):
            continue
        keeps = "".join(f"{name} = {name}, " for name in kept if name != _column(each))
        done.append(db.as_text(f"UPDATE {{{table.name}}} SET {keeps}{_dated(each.sets, times)} "
                               f"WHERE {where}"))
    zoned = expressions or any(facts["type"] == "timestamp" for facts in known.values())
    in_utc = [db.dialect.in_utc] if zoned and done and db.dialect.in_utc else []
    return [*in_utc, *ddl.for_clients(db, done)]


def _column(closing: Closing) -> str:
    """Which it sets."""
    return closing.sets.partition(" = ")[0]


def _dated(sql: str, times: dict) -> str:
    for name, moment in times.items():
        sql = sql.replace(f":{name}", f"'{clock.text(moment)}'")
    return sql
