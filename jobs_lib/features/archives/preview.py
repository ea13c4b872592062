"""What archiving would do, for a dry run: as far as it is known without looking into the
store."""
from __future__ import annotations

from jobs_lib.engines.safety_stop import would_stop
from jobs_lib.ports.storage.base import place_of
from jobs_lib.text import counted

from .catalogue import UNFINISHED, is_in, refuse_shared
from .recover import confirm_expiry, old
from .write import MOST_ROWS


def preview(ctx, chosen) -> None:
    """Show it, with the counts of a run but for `deleted`. Nothing is opened."""
    section = ctx.section("archive")
    refuse_shared(ctx)
    place, rows = place_of(section), ctx.within_limit(chosen.count(ctx.db))
    files = -(-rows // MOST_ROWS)
    waiting = {row["status"]: row["location"] for row in ctx.db.query(
        f"SELECT status, location FROM {{audit_archives}} WHERE {UNFINISHED}")}
    notes = []
    if "verified" in waiting:
        notes.append(f"first, the rows that are left of {waiting['verified']} are deleted")
    if "writing" in waiting:
        notes.append(f"first, the unfinished {waiting['writing']} is discarded")
    ctx.show(f"archive {counted(rows, 'row')} in {counted(files, 'file')} or more, in {place}"
             if rows else "archive nothing", [], "; ".join(notes))
    # those that were moved to this place by hand cannot be seen from here
    expired = [row for row in old(ctx) if is_in(place, row["location"])]
    if expired:
        ctx.show(f"remove {counted(len(expired), 'old archive')} from the store",
                 [], would_stop(confirm_expiry(ctx, place, expired)))
    ctx.counts.update(archived=rows, archives=files, expired=len(expired))


