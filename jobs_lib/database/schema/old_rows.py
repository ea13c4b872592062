"""What the rows that an app has count as, once a column of ours is added to their table, and what
keeps that from making them due.

Each statement of OLD_ROWS is in our notation, sets no time but `:now` and `:tomorrow`, and is left
out where the table has not yet the columns that it `needs`.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import timedelta

from jobs_lib import clock

from .tables import NO_DEFAULT

Old = namedtuple("Old", "words closings", defaults=((),))
Old.__doc__ = """Of one column.

words     what old rows count as
closings  Closings that can be run in this order, behind the ALTER
"""
Closing = namedtuple("Closing", "sql needs", defaults=((),))
Closing.__doc__ = "A statement, and the other columns of its table that have to be there before."

WAITING = "waiting, so the next run would send them"
_FAILED = "UPDATE {%s} SET status = 'failed' WHERE status = 'pending'"
_ALL_FAILED = "UPDATE {%s} SET status = 'failed'"
_TOLD = Closing("UPDATE {failed_emails} SET told_at = :now WHERE told_at IS NULL", ("told_at",))
_ENDED = Closing("UPDATE {failed_emails} SET finished_at = :now WHERE finished_at IS NULL",
                 ("finished_at",))
_BEFORE = "not scheduled: those that are pending would be sent by the next run"

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
    "failed_emails.next_attempt_at": Old(_BEFORE, (
        Closing(_FAILED % "failed_emails", ("status",)), _TOLD)),
    "failed_emails.finished_at": Old("ended when they came in, so that purge_failed_emails would "
                                     "delete those that have", (_ENDED._replace(needs=()),)),
    "failed_emails.told_at": Old(
        "not reported, so that the owners of those that have failed would be notified",
        (Closing("UPDATE {failed_emails} SET told_at = :now WHERE status = 'failed'",
                 ("status",)),)),
    "overflow_hold.warned_at": Old("not warned of: their owners are, before they are deleted"),
    "overflow_hold.released_at": Old("held: their owners are warned, then they are deleted"),
    "webhook_deliveries.status": Old(WAITING, (Closing(_ALL_FAILED % "webhook_deliveries"),)),
    "webhook_deliveries.attempts": Old("not tried"),
    "webhook_deliveries.next_attempt_at": Old(_BEFORE, (
        Closing(_FAILED % "webhook_deliveries", ("status",)),)),
    "webhook_deliveries.last_attempt_at": Old("not tried: those that are pending are due", (
        Closing(_FAILED % "webhook_deliveries", ("status",)),)),
    "export_requests.status": Old("asked for, so that each would be made", (
        Closing("UPDATE {export_requests} SET status = 'expired'"),)),
}


def words(table, column) -> str:
    """What old rows count as, once this column is added."""
    if found := OLD_ROWS.get(f"{table.name}.{column.name}"):
        return found.words
    if column.type == "now":
        return "of the moment in which this is run"
    if column.default is not NO_DEFAULT:
        return f"{column.default!r}"
    meaning = column.about.partition("NULL:")[2].partition(";")[0].strip()
    return meaning or "NULL"


def closings(db, table, column, there: set) -> list[str]:
    """The statements that keep old rows from being due, each as the database takes it. `there`: the
    columns that the table has by then, by our names."""
    found = [] if column.type != "now" or db.dialect.adds_now else [
        Closing(f"UPDATE {{{table.name}}} SET {column.name} = :now WHERE {column.name} IS NULL")]
    found += OLD_ROWS.get(f"{table.name}.{column.name}", Old("")).closings
    now = clock.now()
    times = {"now": now, "tomorrow": now + timedelta(days=1)}
    return [_plain(db, each.sql, times) for each in found if there.issuperset(each.needs)]


def _plain(db, sql: str, times: dict) -> str:
    for name, moment in times.items():
        sql = sql.replace(f":{name}", f"'{clock.text(moment)}'")
    return db.as_text(sql)
