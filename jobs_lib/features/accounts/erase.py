"""Deleting accounts for good, table by table, the longest deleted first."""
from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.engines import audit, spool
from jobs_lib.engines.purge import SAMPLE_ROWS
from jobs_lib.errors import JobsError
from jobs_lib.folders import open_own
from jobs_lib.text import counted

from .batches import Batches, of_each
from .close import write_notice
from .order import ORDER

EVENT = "account.deleted"
LEDGER = "deletions.jsonl"


def erase_all(ctx, going: list) -> None:
    """Delete these accounts, one after the other, as far as `--limit` goes."""
    of_each(ctx, going, _erase)


def _erase(batches: Batches) -> bool:
    ctx, deletion = batches.ctx, batches.account.deletion
    if ctx.should_stop(ctx.counts["revoked"] + ctx.counts["erased"]):
        return False
    # before the first row goes; a later run finds them
    if not stored.memory(deletion["counts"]):
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
        if step.table not in found:             # its first step is about its own rows
            found[step.table] = ctx.db.value(
                f"SELECT COUNT(*) FROM {{{step.table}}} WHERE {whose}", user=account.id)
    return +found


def _finish(batches: Batches) -> bool:
    """Delete the user's own row: the deletion is complete, in one transaction. False where a run
    has rows of it in hand, or the app has just written some: the next run goes on."""
    batches.check_status()
    ctx, account, now = batches.ctx, batches.account, batches.ctx.clock()
    if rows_of(ctx, account):
        return False
    ctx.db.execute("DELETE FROM {users} WHERE id = :id", id=account.id)
    ctx.db.execute("UPDATE {account_deletions} SET completed_at = :now WHERE id = :id",
                   id=account.deletion["id"], now=now)
    # a row in the audit log that names nobody
    audit.record(ctx.db, now=now, user_id=None, event=EVENT,
                 details={"deletion": account.deletion["id"]})
    # Before the COMMIT: a kill in between leaves one line too many, which does no harm, never one
    # too few.
    note_erased(ctx, {
        "user_id": account.id, "user_ref": account.ref, "created_at": account.created_at,
        "deleted_at": account.deleted_at, "completed_at": clock.text(now)})
    return True


def note_erased(ctx, entry: dict) -> None:
    """Add a line to `state_dir/deletions.jsonl`, safe on the disk when this returns; JobsError
    where that cannot be. No database backup reaches that file: one that is put back brings deleted
    accounts with it, and docs/deletion.md has the UPDATE that deletes them again. It names the
    database, and a user by id and by when the account was made, since ids may be given again."""
    path = os.path.join(ctx.section("core").state_dir, LEDGER)
    line = json.dumps({**entry, "database": spool.database_id(ctx.db)}, sort_keys=True) + "\n"
    try:
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
