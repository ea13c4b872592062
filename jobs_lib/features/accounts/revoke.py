"""The first thing that is done to a deleted account: it is closed, and nothing more is sent for it.

Nothing here is beyond repair but the sessions and tokens, which the next sign-in makes again: until
the grace has passed, an operator can make the account active again, and switch on its aliases and
endpoints.
"""
from __future__ import annotations

from functools import partial

from jobs_lib import clock
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.features.notifications.kinds import AFTER_DELETION
from jobs_lib.features.notifications.reminders import alone

from . import rows
from .deletion_order import Removal
from .due import deleted, is_closed, is_fresh

NOTICE = "account_deletion_scheduled"
WHY = "the account is deleted"
THEIR_DESTINATIONS = "destination_id IN (SELECT id FROM {destinations} WHERE user_id = :user)"
ENDED = ("status = 'failed', finished_at = :now, next_attempt_at = NULL, "
         "claim_run = NULL, last_error = :error")


def revoke_all(ctx, sizers) -> bool:
    """Close every account that is newly deleted, then cancel what waits to be sent for them. False:
    the run is to stop."""
    sizers = sizers._replace(load=None)             # however busy the database is: nobody gets in
    for step in (_close, _cancel_outgoing):
        for account in deleted(ctx):
            if not is_fresh(ctx, account):
                continue
            with alone(ctx, account.user_id), rows.unless_restored(ctx, account.user_id):
                opened = partial(rows.open_deletion, ctx, account)
                batches = rows.Batches(ctx, account.user_id, ctx.db.batch(opened), sizers)
                if not step(ctx, account, batches):
                    return False
    return True


def _close(ctx, account, batches) -> bool:
    """Nobody gets in, nothing comes in. False when the run is to stop, as in all of these."""
    active, now = "user_id = :user AND active = 1", ctx.clock()
    return (batches.delete("sessions")
            and batches.delete("magic_links")
            and batches.each("destination_verifications", THEIR_DESTINATIONS,
                             Removal.erase)
            and batches.change("webhooks", active,
                               "active = 0, disabled_at = :now, disabled_reason = :why",
                               now=now, why=WHY)
            and batches.change("aliases", active, "active = 0"))


def _cancel_outgoing(ctx, account, batches) -> bool:
    """Nothing is sent but the one notice; then the account counts as revoked."""
    pending = "user_id = :user AND status = 'pending'"
    ended = {"now": ctx.clock(), "error": f"cancelled: {WHY}"}
    forwards, emptied = f"{ENDED}, told_at = :now", f"{ENDED}, body_text = NULL, body_html = NULL"
    if not (batches.change("failed_emails", pending, forwards, **ended)
            and batches.change("failed_emails", f"{THEIR_DESTINATIONS} AND status = 'pending'",
                               forwards, **ended)
            and batches.change("webhook_deliveries", pending, ENDED, **ended)
            and batches.change("notifications", f"{pending} AND kind NOT IN (:last)", emptied,
                               last=list(AFTER_DELETION), **ended)
            and batches.each("export_requests",
                             "user_id = :user AND status IN ('queued', 'ready')",
                             _cancel_exports)):
        return False
    _mark(ctx, account, batches)
    return True


def _cancel_exports(removal: Removal, name: str, ids: list, rule: str, values: dict) -> int:
    """No link opens them any more, and their files go. One that is being made is given up by the
    run that makes it."""
    db = removal.db
    found = db.query("SELECT id, file_name FROM {export_requests} WHERE id IN (:ids) "
                     f"AND {rule}{db.for_update}", ids=ids, **values)
    removal.exports.extend(found)
    return db.execute("UPDATE {export_requests} SET status = 'expired', token_hash = NULL "
                      "WHERE id IN (:ids)", ids=[row["id"] for row in found])


def _mark(ctx, account, batches) -> None:
    """The account counts as revoked, and its owner is notified of the day, in one commit."""
    due = clock.parse(account.deleted_at) + ctx.options.grace

    def work() -> int:
        batches.check_status()
        first = ctx.db.execute(
            "UPDATE {account_deletions}"
            " SET requested_at = :asked, revoked_at = :now, erase_after = :due WHERE id = :id"
            " AND (revoked_at IS NULL OR requested_at IS NULL OR requested_at <> :asked)",
            id=batches.deletion_id, asked=account.deleted_at, now=ctx.clock(), due=due)
        ctx.count("revoked", first)
        if first and is_notified(ctx, account):
            ctx.count("notices", write_notice(ctx, account))
        return first

    if ctx.db.batch(work):
        ctx.log.event("revoked", user_id=account.user_id, erase_after=clock.text(due))


def is_notified(ctx, account) -> bool:
    """Whether its owner gets a notice when it is closed: of a day that is still to come."""
    return bool(not is_closed(account) and account.email
                and clock.parse(account.deleted_at) + ctx.options.grace > ctx.now)


def write_notice(ctx, account) -> int:
    """Write it, in a transaction; a dry run writes none. How many it is: 0 to an address that
    cannot be used, or of a deletion that had one."""
    closed = clock.parse(account.deleted_at)
    user = {"id": account.user_id, "email": account.email, "name": account.name}
    return int(notify(ctx, user, NOTICE, f"account-deletion:{account.user_id}:{account.deleted_at}",
                      {"date": render.day(closed + ctx.options.grace),
                       "closed": render.day(closed)}) is not None)
