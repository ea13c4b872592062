"""Deleting accounts for good, table by table, oldest deletion first."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.engines import audit
from jobs_lib.features.notifications.reminders import alone

from . import deleted, ledger
from .cascade import Gone, anonymise, erase, is_queue, order
from .revoke import is_revoked

# accounts that go in one run without being confirmed, and their share of all
MOST, SHARE = 50, 0.2
CONFIRMED = "confirmed_before"  # among the numbers of `job_state`: deletions up to then are meant
EVENT = "account.deleted"


def due(ctx) -> list:
    """Accounts whose time has come, longest deleted first."""
    return [account for account in deleted.deleted(ctx) if is_revoked(account)
            and _time_is_over(ctx, account)]


def _time_is_over(ctx, account) -> bool:
    known = account.deletion["erase_after"]
    when = clock.parse_any(known) if known else ctx.now
    if when is None:                    # not read: never sooner than it was said to the owner
        when = clock.plus(clock.parse_any(account.deleted_at) or ctx.now, ctx.options.grace)
    return when <= ctx.now


def trouble(ctx, known, going: list) -> str | None:
    """Why none of them may go, unless `--yes` says that all are meant: from then on those deleted
    up to now are."""
    newest = max((_seconds(account.deleted_at) for account in going), default=0)
    if ctx.confirmed and newest > known.last.get(CONFIRMED, 0):
        known.store(**{CONFIRMED: newest})
    return suspicious(ctx, known, going)


def suspicious(ctx, known, going: list) -> str | None:
    """Why it may be a mistake of the app that so many accounts go, in a sentence."""
    new = sum(_seconds(account.deleted_at) > known.last.get(CONFIRMED, 0) for account in going)
    if new <= MOST:
        return None
    users = ctx.db.value("SELECT COUNT(*) FROM {users}")
    if new <= SHARE * users:
        return None
    return (f"{new:,} of {users:,} accounts would be deleted for good now. They are shut, and "
            "nothing else of them was deleted. If that is meant, run `jobs.py delete_accounts "
            "--yes` once; if not, set users.status back to active (docs/deletion.md)")


def _seconds(text: str) -> int:
    moment = clock.parse_any(text)
    return int(moment.timestamp()) if moment else 0


def erase_all(ctx, known, going: list, counts: dict, pace) -> bool:
    """Delete these accounts, one after the other. False when the run is to stop."""
    for account in going:
        if ctx.should_stop(counts["erased"]):
            return False
        batches = deleted.Batches(ctx, account.user_id, account.deletion["id"], counts, pace)
        with alone(ctx, account.user_id), deleted.unless_restored(ctx, account.user_id, counts):
            if not (empty(batches) and _end(ctx, account, batches, counts)):
                return False
    if known.last.get(CONFIRMED):
        # what was meant is done: the next ones are asked for again
        known.store(**{CONFIRMED: 0})
    return True


def empty(batches) -> bool:
    """Delete whatever belongs to the account but its own row. False when the run is to stop.

    InFlight when a run that lives is just sending something of it. The queues come first, so all
    else is still there.
    """
    for reference in order():
        name = reference.table
        if not (batches.each(name, "user_id = :user", anonymise) if reference.goes == "stays"
                else batches.gone(name)):
            return False
        if is_queue(name) and batches.db.row(f"SELECT id FROM {{{name}}} WHERE user_id = :user "
                                             "LIMIT 1", user=batches.user_id):
            raise deleted.InFlight
    return True


def _end(ctx, account, batches, counts: dict) -> bool:
    """The user's own row goes, with what came in meanwhile, and the deletion is complete."""
    def work() -> None:
        batches.check_status()
        now, gone = ctx.clock(), Gone({}, [], [], [])
        erase(ctx.db, "users", [account.user_id], "status = 'deleted'", {}, gone)
        batches.keep(gone)
        complete(ctx, batches.deletion_id, now)
        # Before the COMMIT: a kill in between leaves one line too many, which does no harm, never
        # one too few.
        ledger.append(ctx, {
            "user_id": account.user_id, "user_ref": account.ref, "created_at": account.created_at,
            "deleted_at": account.deleted_at, "completed_at": clock.text(now)})

    ctx.db.batch(work)
    counts["erased"] += 1
    ctx.log.event("erased", user_ref=account.ref, deletion=batches.deletion_id)
    return True


def complete(ctx, deletion_id: int, now) -> None:
    """Mark the deletion as done, with a row in the audit log that names nobody; called in a
    transaction."""
    if ctx.db.execute("UPDATE {account_deletions} SET completed_at = :now WHERE id = :id "
                      "AND completed_at IS NULL", id=deletion_id, now=now):
        audit.record(ctx.db, now=now, user_id=None, event=EVENT, details={"deletion": deletion_id})
