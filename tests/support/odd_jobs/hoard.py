"""Take memory until there is none, in small pieces that its frame keeps, within a transaction."""
from __future__ import annotations

import os

from tests.support.product import declare


@declare(schedule="*/5 * * * *", enabled=False)
def job(ctx):
    """A list that has no end."""
    kept = []
    with ctx.db.transaction():
        ctx.db.insert("usage_events", user_id=os.getpid(), cycle_start=ctx.now.date(),
                      metric="emails",
                      threshold=1, created_at=ctx.now)
        while True:
            kept.append(str(len(kept)) * 10)
