"""Archiving audit rows: write, read back, then delete just what was read back (docs/archives.md).

The table `audit_archives` says how far each archive is: `writing` (worth nothing yet), `verified`
(read back from the store; its rows are being deleted), `purged` (its rows are gone from the table).
There is never more than one that is not purged, so no row can get into a second archive. The file's
name ends with the run that writes it: as long as that run lives, wherever, others leave its archive
alone; of a dead one they finish what is verified and discard the rest.
"""
from __future__ import annotations

from collections import namedtuple

from jobs_lib import clock
from jobs_lib.engines.batch_delete import Walk
from jobs_lib.errors import Busy
from jobs_lib.ports.storage.base import ArchiveError

from .catalogue import TABLE, Verified, open_for, refuse_shared
from .recover import expire, unfinished
from .write import MOST_ROWS, write

Exactly = namedtuple("Exactly", "table sql values")


class _Enough(Exception):
    """The run has to end in the middle of a file."""


def archive(ctx, chosen) -> dict:
    """Archive the rows of a Selection and delete them; how many."""
    section = ctx.section("archive")
    refuse_shared(ctx)
    counts, walk = ctx.counts, Walk(ctx, TABLE)
    counts.update(archived=0, archives=0, deleted=0, expired=0)
    try:
        store = open_for(ctx.db, section)
    except ArchiveError as error:
        raise _told(error, counts) from None
    try:
        _work(ctx, chosen, store, walk, counts)
    except _Enough:
        pass                                # what stops the run is told by itself
    except Busy as error:
        ctx.stop("busy")
        ctx.log.warning("database busy", error=str(error))
    except ArchiveError as error:
        raise _told(error, counts) from None
    finally:
        store.close()
    ctx.log.event("purge", table=TABLE, **counts, reason=ctx.stop_reason or "done",
                  batches=walk.number, rate=walk.rate(),
                  before=sorted({clock.text(moment) for moment in chosen.cutoffs}))
    return counts


def _told(error: ArchiveError, counts: dict) -> ArchiveError:
    """The same, with what it means for the rows."""
    gone = counts["deleted"]
    rows = f"Rows deleted: {gone:,}, all of them in an archive" if gone else "No row was deleted"
    return ArchiveError(f"{error}. {rows}")


def _work(ctx, chosen, store, walk, counts: dict) -> None:
    """Finish what a dead run left, drop what is too old, then archive until nothing is left."""
    total = 2 * chosen.count(ctx.db)        # each row is written and deleted

    def tell() -> None:
        done = counts["archived"] + counts["deleted"]
        ctx.progress(done, max(total, done), archived=counts["archived"], deleted=counts["deleted"])

    def look() -> None:
        tell()
        if ctx.should_stop():
            raise _Enough

    for left in unfinished(ctx, store, look):
        _delete(ctx, walk, left, counts, tell)
        if ctx.should_stop():
            break
    if ctx.should_stop():
        return
    for _ in expire(ctx, store):
        counts["expired"] += 1
    while not ctx.should_stop(walk.rows):
        most = ctx.within_limit(MOST_ROWS, walk.rows)
        written = write(ctx, store, chosen, counts["archives"] + 1, most, look)
        if written is None:
            return
        counts["archives"] += 1
        counts["archived"] += len(written.ids)
        _delete(ctx, walk, written, counts, tell)


def _delete(ctx, walk, archived: Verified, counts: dict, tell) -> None:
    """Delete these rows, and stop the run if that cannot be finished.

    One that got another time since stays: with an old engine its id may have a new owner.
    """
    still = Exactly(TABLE, "(created_at < :cutoff)", {"cutoff": archived.cutoff})
    for batch in walk.delete_ids(still, archived.ids):
        counts["deleted"] += batch.rows
        tell()
    if walk.reason != "done":
        ctx.stop(walk.reason)
        return
    ctx.db.execute("UPDATE {audit_archives} SET status = 'purged' WHERE id = :id "
                   "AND status = 'verified'", id=archived.id)
