"""Whether anybody still waits for rows that a run has taken, asked again just before they begin.

Rows of suspended and of deleted owners wait where they are. A row whose owner, alias or endpoint is
missing is cancelled, unless the guard finds that these are many: then they wait as well, until they
are old, and the run goes on past them.
"""
from __future__ import annotations

from jobs_lib import clock

from . import guard
from .due import stopped
from .queue import LIFETIME, Work


def still_wanted(work: Work, rings: list, rows: list[dict]) -> list[dict]:
    """The rows that a run goes on with: to send them, or to cancel those that lack something."""
    queue = work.queue
    found = {row["id"]: row["lacks"] for row in work.db.query(
        f"SELECT id, CASE WHEN {queue.missing} THEN 1 ELSE 0 END AS lacks FROM {work.table} "
        f"WHERE id IN (:ids) AND ({queue.missing} OR {stopped(queue)})",
        ids=[row["id"] for row in rows])}
    is_held = any(found.values()) and guard.held(work.ctx, guard.QUEUED, queue)
    for ring in rings if is_held else ():
        if "too_young" not in ring.values:
            ring.also += f" AND NOT (({queue.missing}) AND {queue.added} > :too_young)"
            ring.values["too_young"] = clock.text(work.ctx.now - LIFETIME)
            ring.forget()
    return [row for row in rows if row["id"] not in found
            or (found[row["id"]] and (not is_held or work.is_old(row)))]
