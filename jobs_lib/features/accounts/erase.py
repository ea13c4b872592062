"""Deleting accounts for good, table by table, oldest deletion first."""
from __future__ import annotations

import os

from jobs_lib import clock
from jobs_lib.database.schema.tables import is_queue
from jobs_lib.engines import audit, safety_stop
from jobs_lib.engines.spool import database_id
from jobs_lib.errors import JobsError
from jobs_lib.features.notifications.reminders import alone
from jobs_lib.folders import open_own, private

from . import rows
from .deletion_order import Removal, order
from .due import deleted, erase_after, is_closed

MOST, SHARE = 50, 0.2           # accounts that go in one run unconfirmed, and their share of all
CONFIRMED = "confirmed_before"  # among the numbers of `job_state`: deletions up to then are meant
EVENT = "account.deleted"
LEDGER = "deletions.jsonl"


def going(ctx) -> list:
    """Accounts whose time has come, longest deleted first."""
    return [account for account in deleted(ctx)
            if is_closed(account) and erase_after(ctx, account) <= ctx.now]


def unconfirmed(ctx, guard, going: list) -> str | None:
    """Why none of these may be deleted: so many may be a mistake of the app. `--yes` confirms all
    that were deleted up to now, for the next runs too."""
    last = guard.last.get(CONFIRMED, 0)
    newest = max((_seconds(account.deleted_at) for account in going), default=0)
    if ctx.confirmed and not ctx.dry_run and newest > last:
        guard.store(**{CONFIRMED: newest})
    new = sum(_seconds(account.deleted_at) > last for account in going)
    if new <= MOST:
        return None
    return safety_stop.unconfirmed(
        ctx, "accounts", new, ctx.db.value("SELECT COUNT(*) FROM {users}"), most=MOST, share=SHARE,
        why="they are closed, and their days of grace are over",
        fix="set users.status back to active (docs/deletion.md)")


def _seconds(text: str) -> int:
    moment = clock.parse_any(text)
    return int(moment.timestamp()) if moment else 0


def erase_all(ctx, guard, going: list, sizers) -> None:
    """Delete these accounts, one after the other."""
    for account in going:
        if ctx.should_stop(ctx.counts["erased"]):
            return
        batches = rows.Batches(ctx, account.user_id, account.deletion["id"], sizers)
        with alone(ctx, account.user_id), rows.unless_restored(ctx, account.user_id):
            if not _empty_all(batches):
                return
            _finish(ctx, account, batches)
    if guard.last.get(CONFIRMED):
        # what was meant is done: the next ones are asked for again
        guard.store(**{CONFIRMED: 0})


def _empty_all(batches) -> bool:
    """Delete whatever belongs to the account but its own row. False when the run is to stop.

    InFlight when a run that lives is just sending something of it. The queues come first, so all
    else is still there.
    """
    found = order()
    queues = [reference for reference in found if is_queue(reference.table)]
    return (_empty(batches, queues) and batches.retire_aliases()
            and _empty(batches, [each for each in found if each not in queues]))


def _empty(batches, references: list) -> bool:
    for reference in references:
        name = reference.table
        stays = reference.goes == "stays"
        if not (batches.each(name, "user_id = :user", Removal.anonymise) if stays
                else batches.delete(name)):
            return False
        if is_queue(name) and batches.db.row(f"SELECT id FROM {{{name}}} WHERE user_id = :user "
                                             "LIMIT 1", user=batches.user_id):
            raise rows.InFlight
    return True


def _finish(ctx, account, batches) -> None:
    """Delete the user's own row, with what came in meanwhile: the deletion is complete."""
    def work() -> None:
        batches.check_status()
        now, removal = ctx.clock(), Removal(ctx.db)
        removal.erase("users", [account.user_id], "status = 'deleted'", {})
        batches.keep(removal)
        if ctx.db.execute("UPDATE {account_deletions} SET completed_at = :now WHERE id = :id "
                          "AND completed_at IS NULL", id=batches.deletion_id, now=now):
            # a row in the audit log that names nobody
            audit.record(ctx.db, now=now, user_id=None, event=EVENT,
                         details={"deletion": batches.deletion_id})
        # Before the COMMIT: a kill in between leaves one line too many, which does no harm, never
        # one too few.
        note_erased(ctx, {
            "user_id": account.user_id, "user_ref": account.ref, "created_at": account.created_at,
            "deleted_at": account.deleted_at, "completed_at": clock.text(now)})

    ctx.db.batch(work)
    ctx.count("erased")
    ctx.log.event("erased", user_ref=account.ref, deletion=batches.deletion_id)


def note_erased(ctx, entry: dict) -> None:
    """Add a line to `state_dir/deletions.jsonl`, safe on the disk when this returns; JobsError
    where that cannot be. No database backup reaches that file: one that is put back brings deleted
    accounts with it, and docs/deletion.md has the UPDATE that deletes them again. It names the
    database, and a user by id and by when the account was made, since ids may be given again."""
    import json  # most runs find no deleted account
    path = os.path.join(ctx.section("core").state_dir, LEDGER)
    line = json.dumps({**entry, "database": database_id(ctx.db)}, sort_keys=True) + "\n"
    try:
        private(os.path.dirname(path))
        with os.fdopen(open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab") as file:
            end = file.tell()
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                line = "\n" + line          # a power cut left half a line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JobsError(f"{path}: {error.strerror}: no account is deleted for good before that is "
                        "written down there") from None
