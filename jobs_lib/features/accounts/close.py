"""The first thing that is done to a deleted account: it is closed, and nothing more is sent for it.

Nothing here is beyond repair but the sessions and tokens, which the next sign-in makes again: until
the day of erasure an operator can make the account active again, and switch on its aliases and
endpoints.
"""
from __future__ import annotations

from functools import partial

from jobs_lib import clock
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.enqueue import notify

from .batches import Batches, of_each
from .due import notice_key
from .order import Step

NOTICE = "account_deletion_scheduled"       # all that is still sent
WHY = "the account is deleted"
ENDED = ("status = 'failed', finished_at = :now, next_attempt_at = NULL, "
         f"last_error = 'cancelled: {WHY}'")
ENDED_FORWARD = f"{ENDED}, notified_at = :now"

# Nobody gets in, nothing comes in.
SHUT = (
    Step("sessions"), Step("magic_links"),
    Step("destination_verifications", "destination_id", "destinations"),
    Step("webhooks", sets=f"active = 0, disabled_at = :now, disabled_reason = '{WHY}'",
         only="active = 1"),
    Step("aliases", sets="active = 0", only="active = 1"),
)
# Nothing is sent. Exports need no more than their time: their links open nothing, and
# export_accounts ends them.
CANCELLED = (
    Step("failed_emails", sets=ENDED_FORWARD, only="status = 'pending'"),
    Step("failed_emails", "destination_id", "destinations", sets=ENDED_FORWARD,
         only="status = 'pending'"),
    Step("webhook_deliveries", sets=ENDED, only="status = 'pending'"),
    Step("notifications", sets=f"{ENDED}, body_text = NULL, body_html = NULL",
         only=f"status = 'pending' AND kind <> '{NOTICE}'"),
    Step("export_requests", sets="expires_at = :now",
         only="status = 'ready' AND expires_at > :now"),
)


def close_all(ctx, new: list) -> bool:
    """Shut all of these accounts, then cancel what waits to be sent for them. False: the run is to
    stop."""
    return of_each(ctx, new, lambda batches: batches.take(SHUT)) and of_each(ctx, new, _cancel)


def _cancel(batches: Batches) -> bool:
    if not batches.take(CANCELLED):
        return False
    batches.db.batch(partial(_mark, batches))
    batches.ctx.log.event("revoked", user_id=batches.account.id)
    return True


def _mark(batches: Batches) -> None:
    """The account counts as closed, and its owner is notified of the day, in one commit."""
    batches.check_status()
    ctx, account = batches.ctx, batches.account
    id = ctx.db.value(
        "SELECT id FROM {account_deletions} "
        f"WHERE user_ref = :ref AND completed_at IS NULL{ctx.db.for_update}", ref=account.ref)
    id = id or ctx.db.insert("account_deletions", user_ref=account.ref, counts="{}")
    if not account.is_timed:            # its grace begins when it is seen
        ctx.db.execute("UPDATE {users} SET deleted_at = :now WHERE id = :id", now=ctx.now,
                       id=account.id)
        ctx.log.warning("no time of deletion", user_id=account.id,
                        what="users.deleted_at is missing, or far ahead: set to the present")
    ctx.db.execute(
        "UPDATE {account_deletions} SET requested_at = :requested, revoked_at = :now, "
        "erase_after = :day WHERE id = :id",
        id=id, requested=account.deleted_at, now=ctx.clock(),
        day=clock.plus(clock.parse(account.deleted_at), ctx.options.grace))
    ctx.count("revoked")
    ctx.count("notices", write_notice(ctx, account))


def write_notice(ctx, account) -> int:
    """Write the notice that names the day, in a transaction; a dry run writes none. How many it is:
    0 of a day that has passed, to an address that cannot be used, or of a deletion that had one."""
    deleted = clock.parse(account.deleted_at)
    day = clock.plus(deleted, ctx.options.grace)
    if not account.email or day <= ctx.now:
        return 0
    user = {"id": account.id, "email": account.email, "name": account.name}
    values = {"date": render.day(day), "closed": render.day(deleted)}
    return int(notify(ctx, user, NOTICE, notice_key(account), values) is not None)
