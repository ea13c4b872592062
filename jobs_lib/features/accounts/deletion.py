"""Deleting an account: closed at once, and nothing more is sent for it; erased for good, table by
table, on the day that its owner was given.

Until that day nothing is beyond repair but the sessions and tokens, which the next sign-in makes
again: an operator can make the account active again, and switch on its aliases and endpoints.
"""
from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.engines import spool
from jobs_lib.engines.purge import SAMPLE_ROWS
from jobs_lib.errors import JobsError
from jobs_lib.features.notifications import notices, render
from jobs_lib.folders import open_own
from jobs_lib.text import counted

from . import notice_key
from .batches import ORDER, Batches, Step, of_each

LEDGER = "deletions.jsonl"
NOTICE = "account_deletion_scheduled"  # all that is still sent
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
    """Shut these, then cancel what waits for them. False: the run is to stop."""
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
    if not account.is_timed:  # its grace begins when it is seen
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
    return int(notices.notify(ctx, user, NOTICE, notice_key(account), values) is not None)


# Erased

def erase_all(ctx, going: list) -> None:
    """Delete these accounts, one after the other, as far as `--limit` goes."""
    of_each(ctx, going, _erase)


def _erase(batches: Batches) -> bool:
    ctx, deletion = batches.ctx, batches.account.deletion
    if ctx.should_stop(ctx.counts["revoked"] + ctx.counts["erased"]):
        return False
    # before the first row goes; a later run finds them
    if stored.document(deletion["counts"]).keys() <= {stored.UNKNOWN}:
        ctx.db.execute("UPDATE {account_deletions} SET counts = :counts WHERE id = :id",
                       id=deletion["id"], counts=json.dumps(
                           {**rows_of(ctx, batches.account), "users": 1}, sort_keys=True))
    if not batches.take(ORDER):
        return False
    if ctx.db.batch(partial(_finish, batches)):
        ctx.count("erased")
        ctx.log.event("erased", user_ref=batches.account.ref, deletion=deletion["id"])
    else:
        ctx.count("waiting")
    return True


def rows_of(ctx, account) -> Counter:
    """{table: how many rows are deleted with the account, or made anonymous}, without zeros."""
    found: Counter = Counter()
    for step in ORDER:
        whose = f"{step.column} = :user" if step.of == "users" else (
            f"{step.column} IN (SELECT id FROM {{{step.of}}} WHERE user_id = :user)")
        if step.table not in found:  # its first step is about its own rows
            found[step.table] = ctx.db.value(
                f"SELECT COUNT(*) FROM {{{step.table}}} WHERE {whose}", user=account.id)
    return +found


def _finish(batches: Batches) -> bool:
    """Delete the user's own row, in one transaction. False where a run has rows of it in hand, or
    somebody has just written some: the next run goes on."""
    batches.check_status()
    ctx, account, now = batches.ctx, batches.account, batches.ctx.clock()
    if rows_of(ctx, account):
        return False
    ctx.db.execute("DELETE FROM {users} WHERE id = :id", id=account.id)
    ctx.db.execute("UPDATE {account_deletions} SET completed_at = :now WHERE id = :id",
                   id=account.deletion["id"], now=now)
    # a row in the audit log that names nobody
    notices.audit(ctx, None, "account.deleted", {"deletion": account.deletion["id"]})
    # Before the COMMIT: a kill in between leaves one line too many, which does no harm, never one
    # too few.
    note_erased(ctx, {
        "user_id": account.id, "user_ref": account.ref, "created_at": account.created_at,
        "deleted_at": account.deleted_at, "completed_at": clock.text(now)})
    return True


def note_erased(ctx, entry: dict) -> None:
    """Add a line to `state_dir/deletions.jsonl`, safe on the disk when this returns; JobsError
    where that cannot be. A database backup that is put back brings deleted accounts with it, and
    docs/deletion.md has the UPDATE that deletes them again. It names a user by id and by when the
    account was made, since ids may be given again."""
    path = os.path.join(ctx.section("core").state_dir, LEDGER)
    line = json.dumps({**entry, "database": spool.database_id(ctx.db)}, sort_keys=True) + "\n"
    try:
        with os.fdopen(open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab") as file:
            end = file.tell()
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                line = "\n" + line  # a power cut left half a line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JobsError(f"{path}: {error.strerror}: no account is deleted for good before that is "
                        "written down there") from None


def preview(ctx, new: list, going: list) -> None:
    """Show and count what a run would do; an account that is closed and erased counts twice."""
    notices = sum(write_notice(ctx, account) for account in new)
    rows = sum(sum(rows_of(ctx, account).values()) for account in going)
    for words, accounts in (
            (f"close {counted(len(new), 'deleted account')}, with {counted(notices, 'notice')}",
             new),
            (f"delete {counted(len(going), 'account')} for good, with {counted(rows, 'row')}",
             going)):
        ctx.show(words, [{"id": account.id, "status": "deleted",
                          "deleted_at": account.deleted_at if account.is_timed else "now"}
                         for account in accounts[:SAMPLE_ROWS]])
    ctx.counts.update(revoked=len(new), erased=len(going), notices=notices, rows=rows)
