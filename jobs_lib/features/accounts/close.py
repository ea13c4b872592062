"""The first thing that is done to a deleted account: it is closed, and nothing more is sent for it.

Nothing here is beyond repair but the sessions and tokens, which the next sign-in makes again: until
the day of erasure an operator can make the account active again, and switch on its aliases and
endpoints.
"""
from __future__ import annotations

from functools import partial

from jobs_lib import clock
from jobs_lib.database.values import chunked
from jobs_lib.engines.batch_delete import LISTED
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.features.notifications.kinds import AFTER_DELETION
from jobs_lib.features.notifications.warnings import follow_up

from .batches import THEIRS, Batches, of_each
from .due import notice_key
from .order import Step

NOTICE = "account_deletion_scheduled"
WHY = "the account is deleted"
TOKENS = Step("destination_verifications", "destination_id", "destinations")
ENDED = ("status = 'failed', finished_at = :now, next_attempt_at = NULL, claim_run = NULL, "
         "last_error = :error")
PENDING, ACTIVE = f"{THEIRS} AND status = 'pending'", f"{THEIRS} AND active = 1"
TO_THEM = ("destination_id IN (SELECT id FROM {destinations} WHERE user_id = :user) "
           "AND status = 'pending'")
READY = f"{THEIRS} AND status = 'ready' AND expires_at > :now"


def set_times(ctx, new: list) -> None:
    """Who was deleted without a time was deleted now: the grace begins when it is seen."""
    for some in chunked([account.user_id for account in new if not account.is_timed], LISTED):
        ctx.db.batch(lambda some=some: ctx.db.execute(
            "UPDATE {users} SET deleted_at = :now WHERE id IN (:ids) AND +status = 'deleted'",
            now=ctx.now, ids=some))
        ctx.log.warning("no time of deletion", users=len(some), user_ids=some[:5],
                        what="users.deleted_at is missing, or lies far ahead: set to the present")


def close_all(ctx, new: list) -> bool:
    """Close these accounts, then cancel what waits to be sent for them. False: the run is to
    stop."""
    return all(of_each(ctx, new, partial(step, ctx)) for step in (_shut, _cancel))


def _shut(ctx, account) -> bool:
    """Nobody gets in, nothing comes in, however busy the database is."""
    batches, now = Batches(ctx, account), ctx.clock()
    return (all(batches.take(Step(table, "user_id")) for table in ("sessions", "magic_links"))
            and batches.take(TOKENS)
            and batches.change("webhooks", ACTIVE,
                               "active = 0, disabled_at = :now, disabled_reason = :why",
                               now=now, why=WHY)
            and batches.change("aliases", ACTIVE, "active = 0"))


def _cancel(ctx, account) -> bool:
    """Nothing is sent but the one notice; then the account counts as closed. Exports need no more
    than their time: their links open nothing, and export_accounts ends them."""
    batches = Batches(ctx, account)
    ended = {"now": ctx.clock(), "error": f"cancelled: {WHY}"}
    forwards = f"{ENDED}, notified_at = :now"
    emptied = f"{ENDED}, body_text = NULL, body_html = NULL"
    if not (batches.change("failed_emails", PENDING, forwards, **ended)
            and batches.change("failed_emails", TO_THEM, forwards, **ended)
            and batches.change("webhook_deliveries", PENDING, ENDED, **ended)
            and batches.change("notifications", f"{PENDING} AND kind NOT IN (:last)", emptied,
                               last=list(AFTER_DELETION), **ended)
            and batches.change("export_requests", READY, "expires_at = :now", **ended)):
        return False
    ctx.db.batch(partial(_mark, ctx, account, batches))
    ctx.log.event("revoked", user_id=account.user_id)
    return True


def _mark(ctx, account, batches) -> None:
    """The account counts as closed, and its owner is notified of the day, in one commit."""
    batches.check_status()
    known = ctx.db.row("SELECT id, requested_at, revoked_at FROM {account_deletions} WHERE "
                       f"user_ref = :ref AND completed_at IS NULL{ctx.db.for_update}",
                       ref=account.ref)
    if known and known["revoked_at"] and known["requested_at"] == account.deleted_at:
        return                          # another run was quicker
    values = {"requested_at": account.deleted_at, "revoked_at": ctx.clock(),
              "erase_after": clock.plus(clock.parse(account.deleted_at), ctx.options.grace)}
    if known:
        ctx.db.execute("UPDATE {account_deletions} SET requested_at = :requested_at, revoked_at = "
                       ":revoked_at, erase_after = :erase_after WHERE id = :id",
                       id=known["id"], **values)
    else:
        ctx.db.insert("account_deletions", user_ref=account.ref, counts="{}", **values)
    ctx.count("revoked")
    ctx.count("notices", write_notice(ctx, account))


def write_notice(ctx, account) -> int:
    """Write the notice that names the day, in a transaction; a dry run writes none. How many it is:
    0 of a day that has passed, to an address that cannot be used, or of a deletion that had one."""
    deleted = clock.parse(account.deleted_at)
    due = clock.plus(deleted, ctx.options.grace)
    if not account.email or due <= ctx.now:
        return 0
    user = {"id": account.user_id, "email": account.email, "name": account.name}
    return int(notify(ctx, user, NOTICE, notice_key(account.user_id, account.deleted_at),
                      {"date": render.day(due), "closed": render.day(deleted)}) is not None)


def notify_elsewhere(ctx, refused: list) -> None:
    """A notice that was refused goes to the owner's next address."""
    for account in refused:
        ctx.db.batch(partial(follow_up, ctx, notice_key(account.user_id, account.deleted_at)))
