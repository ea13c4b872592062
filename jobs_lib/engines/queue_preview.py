"""A dry run over a queue: what would be sent, with a sample, judged on the state now."""
from __future__ import annotations

from jobs_lib import clock

from .claimed_queue import ClaimedQueue
from .old_queue import QueueClaims
from .recovery import count_unclaimable
from .rows import invalid, lost

LOOKED_AT, SHOWN = 1000, 10          # rows that a dry run judges one by one, and shows


def preview(ctx, queue: ClaimedQueue, reasons_to_cancel, title, note: str = "") -> None:
    """Show and count what a run would send and cancel.

    `reasons_to_cancel(rows)`: {row id: why}. `title(number, rows)`: the heading for `number` rows
    that would be sent; `rows` are those of the first ones that are valid.
    """
    claims = QueueClaims(ctx, queue.engine(ctx))
    count_unclaimable(claims)
    due = ctx.within_limit(max(0, claims.count_due() - _in_hand(ctx, queue.table)))
    rows = claims.due(min(due, LOOKED_AT))
    wrong = invalid(ctx.db, claims.queue.table, rows)
    valid = [row for row in rows if row["id"] not in wrong]
    cancelled = reasons_to_cancel(valid)
    left_out = {**cancelled, **{id: f"invalid: {reason}" for id, reason in wrong.items()}}
    at_most = "" if len(rows) == due else (
        f"at most: of the first {len(rows):,} it is known which are cancelled")
    ctx.show(title(due - len(left_out), valid),
             [row for row in rows if row["id"] not in left_out][:SHOWN],
             "; ".join(filter(None, [note, at_most])))
    if left_out:
        ctx.show(f"cancel {len(left_out):,}: {', '.join(sorted(set(left_out.values())))}",
                 [row for row in rows if row["id"] in left_out][:SHOWN])
    ctx.count(claims.queue.done, due - len(left_out))
    ctx.count("cancelled", len(cancelled))
    if wrong:
        ctx.count("invalid", len(wrong))


def _in_hand(ctx, table: str) -> int:
    """How many due rows living runs have claimed."""
    dead, values = lost(table, clock.text(ctx.now))
    return ctx.db.value(f"SELECT COUNT(*) FROM {{{table}}} WHERE status = 'pending' "
                        f"AND claim_run > '' AND NOT {dead}", **values)
