"""Use ever more memory, a piece an item."""
from __future__ import annotations

from tests.support.product import declare

PIECE = 4 * 1024 * 1024


@declare(schedule="17 3 * * *", enabled=False, idempotency="It does nothing.")
def job(ctx):
    """Until told to stop, or 400 MB."""
    kept = []
    while len(kept) < 100 and not ctx.should_stop():
        kept.append(b"x" * PIECE)
    return {"pieces": len(kept)}
