"""Deleting accounts for good, table by table, the longest deleted first."""
from __future__ import annotations

import json
import os
from collections import Counter
from functools import partial

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.engines import audit
from jobs_lib.engines.spool import database_id
from jobs_lib.errors import JobsError
from jobs_lib.folders import open_own, private

from .batches import THEIRS, Batches, of_each
from .order import ORDER

EVENT = "account.deleted"
LEDGER = "deletions.jsonl"


def erase_all(ctx, going: list) -> None:
    """Delete these accounts, one after the other, as far as `--limit` goes."""
    of_each(ctx, going, partial(_erase, ctx))


def _erase(ctx, account) -> bool:
    if ctx.should_stop(ctx.counts["revoked"] + ctx.counts["erased"]):
        return False
    batches = Batches(ctx, account)
    _note_rows(ctx, account)
    if not all(batches.take(step) for step in ORDER):
        return False
    if ctx.db.batch(partial(_finish, ctx, account, batches)):
        ctx.count("erased")
        ctx.log.event("erased", user_ref=account.ref, deletion=account.deletion["id"])
    else:
        ctx.count("waiting")
    return True


def rows_of(ctx, account) -> Counter:
    """{table: how many rows are deleted with the account, or made anonymous}."""
    found: Counter = Counter()
    for step in ORDER:
        whose = THEIRS if step.of == "users" else (
            f"{step.column} IN (SELECT id FROM {{{step.of}}} WHERE {THEIRS})")
        if not (step.table in found and step.of != "users"):
            found[step.table] += ctx.db.value(
                f"SELECT COUNT(*) FROM {{{step.table}}} WHERE {whose}", user=account.user_id)
    return +found


def _note_rows(ctx, account) -> None:
    """Store these numbers before the first row goes; a later run finds them."""
    if not stored.memory(account.deletion["counts"]):
        ctx.db.execute("UPDATE {account_deletions} SET counts = :counts WHERE id = :id",
                       id=account.deletion["id"],
                       counts=json.dumps({**rows_of(ctx, account), "users": 1}, sort_keys=True))


def _finish(ctx, account, batches) -> bool:
    """Delete the user's own row: the deletion is complete. False where a run has rows of it in
    hand, or the app has just written some: the next run goes on.

    Called in a transaction.
    """
    batches.check_status()
    for table in dict.fromkeys(step.table for step in ORDER if step.of == "users"):
        if ctx.db.row(f"SELECT user_id FROM {{{table}}} WHERE {THEIRS} LIMIT 1",
                      user=account.user_id):
            return False
    now = ctx.clock()
    ctx.db.execute("DELETE FROM {users} WHERE id = :id", id=account.user_id)
    ctx.db.execute("UPDATE {account_deletions} SET completed_at = :now WHERE id = :id",
                   id=account.deletion["id"], now=now)
    # a row in the audit log that names nobody
    audit.record(ctx.db, now=now, user_id=None, event=EVENT,
                 details={"deletion": account.deletion["id"]})
    # Before the COMMIT: a kill in between leaves one line too many, which does no harm, never one
    # too few.
    note_erased(ctx, {
        "user_id": account.user_id, "user_ref": account.ref, "created_at": account.created_at,
        "deleted_at": account.deleted_at, "completed_at": clock.text(now)})
    return True


def note_erased(ctx, entry: dict) -> None:
    """Add a line to `state_dir/deletions.jsonl`, safe on the disk when this returns; JobsError
    where that cannot be. No database backup reaches that file: one that is put back brings deleted
    accounts with it, and docs/deletion.md has the UPDATE that deletes them again. It names the
    database, and a user by id and by when the account was made, since ids may be given again."""
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
