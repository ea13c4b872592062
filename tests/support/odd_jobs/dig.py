"""Do items one after the other, as a queue's job does: asked before each whether to stop."""
import os
import time

from tests.support.product import Option, declare
from tests.support.product import option_types as kind


@declare(schedule="*/5 * * * *", enabled="no", options={
    "items": Option(kind.integer(0, 100000), "3", "How many there are to do."),
    "pause": Option(kind.integer(0, 100000), "0", "Milliseconds of work for each."),
    "wait": Option(kind.switch, "no", "Work by ctx.sleep, as a job that waits between batches.")})
def job(ctx):
    """Each item is one committed row of `usage_events`; what is done already is left out."""
    done = {row["threshold"] for row in ctx.db.query("SELECT threshold FROM {usage_events}")}
    counts = ctx.counts
    counts["dug"] = 0
    for number in range(1, ctx.options.items + 1):
        if number in done:
            continue
        if ctx.should_stop():
            break
        (ctx.sleep if ctx.options.wait else time.sleep)(ctx.options.pause / 1000)
        if not ctx.dry_run:
            ctx.db.insert("usage_events", user_id=os.getpid(), cycle_start=ctx.now.date(),
                          metric="emails", threshold=number, created_at=ctx.clock())
        counts["dug"] += 1
        ctx.progress(len(done) + counts["dug"], ctx.options.items)
    return counts
