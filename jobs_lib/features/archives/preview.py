"""What archiving would do, for a dry run: as far as it can be told without looking into the
store."""
from __future__ import annotations

from jobs_lib.ports.storage.base import place_of

from .catalogue import UNFINISHED, is_in, refuse_shared
from .recover import shortened
from .write import MOST_ROWS


def preview(ctx, chosen) -> dict:
    """Show it, and return the counts of a run but for `deleted`. Nothing is opened."""
    section = ctx.section("archive")
    refuse_shared(ctx)
    place, rows = place_of(section), ctx.within_limit(chosen.count(ctx.db))
    files = -(-rows // MOST_ROWS)
    waiting = {row["status"]: row["location"] for row in ctx.db.query(
        f"SELECT status, location FROM {{audit_archives}} WHERE {UNFINISHED}")}
    notes = [f"first, the rows that are left of {waiting['verified']} are deleted"] if "verified" in waiting else []
    notes += [f"first, the unfinished {waiting['writing']} is discarded"] if "writing" in waiting else []
    ctx.show(f"archive {rows:,} row{'s' * (rows != 1)} in {files:,} file{'s' * (files != 1)} or "
             f"more, in {place}" if rows else "archive nothing", [], "; ".join(notes))
    expired = _expired(ctx, place, section.keep)
    if expired:
        trouble = None if ctx.confirmed else shortened(ctx, expired)
        ctx.show(f"remove {len(expired):,} old archive{'s' * (len(expired) != 1)} from the store",
                 [], f"a run would stop: {trouble}" if trouble else "")
    return {"archived": rows, "archives": files, "expired": len(expired)}


def _expired(ctx, place: str, keep) -> list[dict]:
    """The archives that would go. Those that were moved to this place by hand cannot be told from
    here."""
    if keep is None:
        return []
    return [row for row in ctx.db.query("SELECT location, created_at FROM {audit_archives} "
                                        "WHERE status = 'purged'"
                                        " AND created_at < :old", old=ctx.now - keep)
            if is_in(place, row["location"])]
