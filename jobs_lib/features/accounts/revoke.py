"""The first thing that is done to a deleted account: it is shut, and nothing more is sent for it.

Nothing here is beyond repair but the sessions and tokens, which are made anew at the next sign-in:
until the grace has passed, an operator can make the account active again, and switch on its aliases
and endpoints.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.features.notifications.kinds import AFTER_DELETION
from jobs_lib.features.notifications.reminders import alone
from jobs_lib.runner.clock_doubt import AHEAD

from . import deleted
from .cascade import Gone, erase

NOTICE = "account_deletion_scheduled"
# so long what a request or a run that was under way has written is looked for, too
AGAIN = timedelta(hours=1)
WHY = "the account is deleted"
HIS_DESTINATIONS = "destination_id IN (SELECT id FROM {destinations} WHERE user_id = :user)"
ENDED = ("status = 'failed', finished_at = :now, next_attempt_at = NULL, claim_token = NULL, "
         "claim_run = NULL, lease_until = NULL, last_error = :error")


def revoke_all(ctx, counts: dict, pace) -> bool:
    """Shut every account that is newly deleted, then end what waits to be sent for them. False: the
    run is to stop."""
    _mend_times(ctx)
    for step in (_shut, _silence):
        for account in deleted.deleted(ctx):
            if not account.deleted_at or _is_ahead(ctx, account):
                account = _timed(ctx, account)
            if not _is_new(ctx, account):
                continue
            with alone(ctx, account.user_id), deleted.unless_restored(ctx, account.user_id, counts):
                if not step(ctx, account, counts, pace):
                    return False
    return True


def is_revoked(account) -> bool:
    """Whether that was done for this deletion: an account that was active again meanwhile is shut
    once more."""
    known = account.deletion
    return bool(known and known["revoked_at"] and known["requested_at"] == account.deleted_at)


def _is_new(ctx, account) -> bool:
    if not is_revoked(account):
        return True
    when = clock.parse_any(account.deletion["revoked_at"])
    return when is None or when >= ctx.now - AGAIN


def _mend_times(ctx) -> None:
    """An app that gave no time has deleted now: the grace begins when it is seen."""
    for ids in deleted.timeless(ctx):
        ctx.db.execute("UPDATE {users} SET deleted_at = :now WHERE id IN (:ids) "
                       f"AND {deleted.TIMELESS}",
                       ids=ids, now=ctx.now)


def _is_ahead(ctx, account) -> bool:
    """Whether a clock that was far ahead wrote it: the account would be kept as long."""
    return ctx.clock_in_doubt is None and clock.parse(account.deleted_at) > ctx.now + AHEAD


def _timed(ctx, account):
    """The same for one that gave what is no time (`2026-11-24`, `2026-02-30 10:00:00`), or one that
    is far ahead."""
    now = clock.text(ctx.now)
    ctx.db.execute("UPDATE {users} SET deleted_at = :now WHERE id = :id AND status = 'deleted'",
                   id=account.user_id, now=now)
    ctx.log.warning("no time of deletion", user_id=account.user_id,
                    what="users.deleted_at is not a valid time, or lies far ahead: set to the "
                    "present")
    return account._replace(deleted_at=now)


def _shut(ctx, account, counts: dict, pace) -> bool:
    """Nobody gets in, nothing comes in."""
    batches = _batches(ctx, account, counts, pace)
    return (batches.gone("sessions") and batches.gone("magic_links")
            and batches.each("destination_verifications", HIS_DESTINATIONS, erase)
            and batches.change("webhooks", "user_id = :user AND active = 1",
                               "active = 0, disabled_at = :now, disabled_reason = :why",
                               now=ctx.clock(), why=WHY) and batches.change("aliases",
                                                                            "user_id = :user AND "
                                                                            "active = 1",
                                                                            "active = 0"))


def _silence(ctx, account, counts: dict, pace) -> bool:
    """Nothing goes out but the one notice; then the account counts as revoked."""
    batches = _batches(ctx, account, counts, pace)
    how = {"now": ctx.clock(), "error": f"cancelled: {WHY}"}
    for rule in ("user_id = :user", HIS_DESTINATIONS):
        if not batches.change("failed_emails", f"{rule} AND status = 'pending'",
                              f"{ENDED}, told_at = :now", **how):
            return False
    if not (batches.change("webhook_deliveries", "user_id = :user AND status = 'pending'", ENDED,
                           **how) and batches.change("notifications", "user_id = :user AND status "
                                                     "= 'pending' AND kind NOT IN (:last)",
                                                     f"{ENDED}, body_text = NULL, body_html = NULL",
                                                     last=list(AFTER_DELETION), **how)
            and batches.each("export_requests", "user_id = :user AND status IN ('queued', 'ready')",
                             _cancel_exports)):
        return False
    _mark(ctx, account, batches, counts)
    return True


def _cancel_exports(db, name: str, ids: list, rule: str, values: dict, gone: Gone) -> int:
    """No link opens them any more, and their files go. One that is being made is given up by the
    run that makes it."""
    rows = db.query("SELECT id, file_name, file_bytes FROM {export_requests} WHERE id IN (:ids) "
                    f"AND {rule}{db.for_update}", ids=ids, **values)
    gone.exports.extend(rows)
    return db.execute("UPDATE {export_requests} "
                      "SET status = 'expired', token_hash = NULL, token_nonce = NULL"
                      " WHERE id IN (:ids)", ids=[row["id"] for row in rows])


def _batches(ctx, account, counts: dict, pace):
    def opened() -> int:
        return deleted.open_deletion(ctx, account)
    return deleted.Batches(ctx, account.user_id, ctx.db.batch(opened), counts, pace)


def _mark(ctx, account, batches, counts: dict) -> None:
    due = clock.parse(account.deleted_at) + ctx.options.grace
    closed = clock.parse(account.deleted_at)
    user = {"id": account.user_id, "email": account.email, "name": account.name}
    is_news = not is_revoked(account) and due > ctx.now and account.email

    def work() -> tuple[int, int]:
        batches.check_status()
        first = ctx.db.execute(
            "UPDATE {account_deletions} "
            "SET requested_at = :asked, revoked_at = :now, erase_after = :due WHERE id = :id"
            " AND (revoked_at IS NULL OR requested_at IS NULL OR requested_at <> :asked)",
            id=batches.deletion_id,
            asked=account.deleted_at, now=ctx.clock(), due=due)
        notice = None
        if first and is_news:
            notice = notify(ctx, user, NOTICE,
                            f"account-deletion:{account.user_id}:{account.deleted_at}",
                            {"date": render.day(due), "closed": render.day(closed)})
        return first, notice is not None

    first, notified = ctx.db.batch(work)
    counts["revoked"] += first
    counts["notices"] += notified
    if first:
        ctx.log.event("revoked", user_id=account.user_id, erase_after=clock.text(due))
