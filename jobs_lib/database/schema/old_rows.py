"""What the rows that an app has count as, once a column of ours is added to their table, and what
keeps that from making them due.

Each statement of OLD_ROWS is in our notation, has no time but `:now`, `:tomorrow` and `:oldest`,
and is left out where the table has not yet the columns that it `needs`. `:oldest`: what came in
before is past its time in its queue; what came in later is spared.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.text import span

from .tables import NO_DEFAULT

Old = namedtuple("Old", "words closings", defaults=((),))
Old.__doc__ = """Of one column.

words     what old rows count as; `{life}` is how old an item of its queue gets
closings  Closings that can be run in this order, behind the ALTER
"""
Closing = namedtuple("Closing", "sql needs", defaults=((),))
Closing.__doc__ = "A statement, and the other columns of its table that have to be there before."

WAITING = "waiting, so the next run would send all of them, also what was sent long ago"
_ALL_FAILED = "UPDATE {%s} SET status = 'failed'"
# the ones that are pending stay so, and are notified of and ended when that is known
_TOLD = Closing("UPDATE {failed_emails} SET told_at = :now "
                "WHERE told_at IS NULL AND status = 'failed'", ("told_at", "status"))
_ENDED = Closing("UPDATE {failed_emails} SET finished_at = :now "
                 "WHERE finished_at IS NULL AND status NOT IN ('pending', 'sending')",
                 ("finished_at", "status"))
_PENDING = ("those that are pending and younger than {life} are sent by the next run; the older "
            "are given up by this, without an attempt or a notice")
_UNDATED = ("of the moment in which this is run, so that all that are pending would be sent; this "
            "gives them up")


def _given_up(name: str, old: str = " AND created_at < :oldest") -> Closing:
    return Closing(f"UPDATE {{{name}}} SET status = 'failed' WHERE status = 'pending'{old}",
                   ("status", "created_at") if old else ("status",))



OLD_ROWS = {
    "users.status": Old("active"),
    "users.deleted_at": Old("not deleted; those of status `deleted` count as deleted when a run "
                            "sees them first, and are erased [delete_accounts] grace later"),
    "users.log_retention_days": Old("kept as long as [purge_message_logs] keep says"),
    "aliases.active": Old("active, so that those past their end would be deactivated, with a "
                          "notice", (Closing("UPDATE {aliases} SET active = 0 "
                                             "WHERE expires_at < :now", ("expires_at",)),)),
    "aliases.expires_at": Old("without an end"),
    "aliases.expiry_notified_at": Old(
        "not announced, so that the owners of those that end soon would be notified",
        (Closing("UPDATE {aliases} SET expiry_notified_at = :now WHERE expires_at IS NOT NULL",
                 ("expires_at",)),)),
    "destinations.verified_at": Old(
        "not verified, so that their owners would be reminded, and they be removed after 30 days",
        (Closing("UPDATE {destinations} SET verified_at = :now"),)),
    "destinations.reminded_at": Old(
        "not reminded of, so that the owners of those that are not verified would be",
        (Closing("UPDATE {destinations} SET reminded_at = :now WHERE verified_at IS NULL",
                 ("verified_at",)),)),
    "destinations.removal_notified_at": Old(
        "not announced: those that are not verified within 27 days are, and removed 3 days "
        "later; [expire_destination_verifications] remove_after = off keeps them"),
    "domains.ownership_token": Old("without a token, so their status stays as it is until your app "
                                   "gives them one"),
    "domains.status": Old("pending, so that those of more than 30 days would be given up, with a "
                          "notice", (Closing("UPDATE {domains} SET status = 'verified'"),)),
    "domains.next_check_at": Old("due for a check", (
        Closing("UPDATE {domains} SET next_check_at = :tomorrow"),)),
    "failed_emails.status": Old(WAITING, (
        Closing(_ALL_FAILED % "failed_emails"), _TOLD, _ENDED)),
    "failed_emails.attempts": Old("not tried"),
    "failed_emails.next_attempt_at": Old(f"not scheduled: {_PENDING}", (
        _given_up("failed_emails"), _TOLD, _ENDED)),
    "failed_emails.created_at": Old(_UNDATED, (
        _given_up("failed_emails", ""), _TOLD, _ENDED)),
    "failed_emails.finished_at": Old("ended when they came in, so that purge_failed_emails would "
                                     "delete those that have", (_ENDED,)),
    "failed_emails.told_at": Old(
        "not reported, so that the owners of those that have failed would be notified",
        (_TOLD,)),
    "overflow_hold.warned_at": Old("not warned of: their owners are, before they are deleted"),
    "overflow_hold.released_at": Old("held: their owners are warned, then they are deleted"),
    "webhook_deliveries.status": Old(WAITING, (Closing(_ALL_FAILED % "webhook_deliveries"),)),
    "webhook_deliveries.attempts": Old("not tried"),
    "webhook_deliveries.next_attempt_at": Old(f"not scheduled: {_PENDING}", (
        _given_up("webhook_deliveries"),)),
    "webhook_deliveries.last_attempt_at": Old(f"not tried: {_PENDING}", (
        _given_up("webhook_deliveries"),)),
    "webhook_deliveries.created_at": Old(_UNDATED, (_given_up("webhook_deliveries", ""),)),
    "export_requests.status": Old("asked for, so that each would be made", (
        Closing("UPDATE {export_requests} SET status = 'expired'"),)),
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


def closings(db, table, column, there: set, life: timedelta, now) -> list[str]:
    """The statements that keep old rows from being due, each as the database takes it. `there`: the
    columns that the table has by then, by our names.

    A column that changes with each update of its row keeps its value. What sets an expression that
    can only be read is left out. Where the client's time zone would matter, as for a TIMESTAMP, it
    is set first: the times in the statements are UTC.
    """
    found = [] if column.type != "now" or db.dialect.adds_now else [
        Closing(f"UPDATE {{{table.name}}} SET {column.name} = :now WHERE {column.name} IS NULL")]
    found += OLD_ROWS.get(f"{table.name}.{column.name}", Old("")).closings
    times = {"now": now, "tomorrow": now + timedelta(days=1), "oldest": now - life}
    ours = {each.name for each in table.columns}
    known = {name: facts for name, facts in db.catalogue([table.name]).get(table.name, {}).items()
             if name in ours}
    kept = [name for name, facts in known.items() if facts["touched"]]
    expressions = db.name.expressions.get(table.name, {})
    read_only = [name for name, expression in expressions.items() if not expression.writes]
    done = [_plain(db, each.sql, times, kept) for each in found if there.issuperset(each.needs)
            and not any(f" SET {name} = " in each.sql for name in read_only)]
    zoned = expressions or any(facts["type"] == "timestamp" for facts in known.values())
    return [db.dialect.in_utc, *done] if done and zoned and db.dialect.in_utc else done


def _plain(db, sql: str, times: dict, kept: list[str]) -> str:
    for name, moment in times.items():
        sql = sql.replace(f":{name}", f"'{clock.text(moment)}'")
    keeps = "".join(f"{name} = {name}, " for name in kept if f" {name} = " not in sql)
    return db.as_text(sql.replace(" SET ", f" SET {keeps}", 1))
