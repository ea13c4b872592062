"""Archiving audit rows: write, read back, then delete just what was read back (docs/archives.md).

The table `audit_archives` says how far each archive is: `writing` (worth nothing yet), `verified`
(read back from the store; its rows are being deleted), `purged` (its rows have been deleted).
There is never more than one that is not purged, so no row can get into a second archive. The file's
name ends with the run that writes it: as long as that run lives, wherever, others leave its archive
alone; of a dead one they finish what is verified and discard the rest.
"""
from __future__ import annotations

from jobs_lib.engines.batch_delete import BatchDeleter
from jobs_lib.engines.purge import begin, finish, log_deletion
from jobs_lib.errors import Busy
from jobs_lib.ports.storage.base import ArchiveError
from jobs_lib.records import namedtuple

from .catalogue import TABLE, Verified, go_without, lost, open_for, refuse_shared
from .recover import expire, remember, unfinished
from .write import MOST_ROWS, write

Exactly = namedtuple("Exactly", "table sql values")


class _Enough(Exception):
    """The run has to end in the middle of a file."""


def run(ctx, purge) -> dict:
    """Delete what is due; with a store, by way of an archive. The counts."""
    due = begin(ctx, purge)
    if due is None:
        return ctx.counts
    if not ctx.section("archive").store:
        if ctx.dry_run:
            due = due._replace(unconfirmed=due.unconfirmed or lost(ctx))
        else:
            go_without(ctx)
        return finish(ctx, due)
    if ctx.dry_run:
        from .preview import preview
        preview(ctx, due.chosen)
        return finish(ctx, due)
    _archive(ctx, due.chosen)
    if not ctx.should_stop():
        due.guard.store()
        remember(ctx)               # last: the guard has just stored what it read at the start
    return ctx.counts


def _archive(ctx, chosen) -> None:
    """Archive the rows of a Selection and delete them."""
    section = ctx.section("archive")
    refuse_shared(ctx)
    counts, deleter = ctx.counts, BatchDeleter(ctx, TABLE)
    counts.update(archived=0, archives=0, deleted=0, expired=0)
    try:
        store = open_for(ctx.db, section)
    except ArchiveError as error:
        raise _with_rows(error, counts) from None
    try:
        _work(ctx, chosen, store, deleter, counts)
    except _Enough:
        pass                                # what stops the run reports itself
    except Busy as error:
        ctx.stop_busy(error)
    except ArchiveError as error:
        raise _with_rows(error, counts) from None
    finally:
        store.close()
    log_deletion(ctx, deleter, chosen.cutoffs)


def _with_rows(error: ArchiveError, counts: dict) -> ArchiveError:
    """The same, with what it means for the rows."""
    deleted = counts["deleted"]
    rows = "No row was deleted"
    if deleted:
        rows = f"Rows deleted: {deleted:,}, all of them in an archive"
    return ArchiveError(f"{error}. {rows}")


def _work(ctx, chosen, store, deleter, counts: dict) -> None:
    """Finish what a dead run left, drop what is too old, then archive until nothing is left."""
    total = 2 * chosen.count(ctx.db)        # each row is written and deleted

    def show_progress() -> None:
        done = counts["archived"] + counts["deleted"]
        ctx.progress(done, max(total, done), archived=counts["archived"], deleted=counts["deleted"])

    def look() -> None:
        show_progress()
        if ctx.should_stop():
            raise _Enough

    for left in unfinished(ctx, store, look):
        _delete(ctx, deleter, left, counts, show_progress)
        if ctx.should_stop():
            break
    if ctx.should_stop():
        return
    for _ in expire(ctx, store):
        counts["expired"] += 1
    while not ctx.should_stop(deleter.rows):
        most = ctx.within_limit(MOST_ROWS, deleter.rows)
        written = write(ctx, store, chosen, counts["archives"] + 1, most, look)
        if written is None:
            return
        counts["archives"] += 1
        counts["archived"] += len(written.ids)
        _delete(ctx, deleter, written, counts, show_progress)


def _delete(ctx, deleter, archived: Verified, counts: dict, show_progress) -> None:
    """Delete these rows, and stop the run if that cannot be finished.

    One that got another time since stays: with an old engine its id may have a new owner.
    """
    still = Exactly(TABLE, "(created_at < :cutoff)", {"cutoff": archived.cutoff})
    for batch in deleter.delete_ids(still, archived.ids):
        counts["deleted"] += batch.rows
        show_progress()
    if ctx.stop_reason:
        return
    ctx.db.execute("UPDATE {audit_archives} SET status = 'purged' WHERE id = :id "
                   "AND status = 'verified'", id=archived.id)
