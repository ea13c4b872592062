"""One run of the webhooks: what is left of others first, then everything that is due."""
from __future__ import annotations

from ..errors import JobsError
from . import webhooks
from .queue import Worker


def send_due(ctx) -> dict:
    """Try every due delivery once, until all are done or the run has to stop. Counts."""
    seconds = ctx.section("webhooks").timeout.total_seconds()
    longest = (ctx.options.budget + ctx.section("core").grace).total_seconds()
    if longest <= seconds + webhooks.MARGIN:
        raise JobsError(f"[{ctx.job.name}] budget and [core] grace together are {longest:g} seconds, and no request is "
                        f"begun with less than [webhooks] timeout and {webhooks.MARGIN:g}: make the budget longer")
    counts = ctx.counts
    counts.update(delivered=0, retried=0, failed=0)
    worker = Worker(ctx, webhooks.queue(ctx))
    worker.recover(counts)
    if worker.due(1):
        from . import webhook_round  # most runs have nothing to send and need not load it

        webhook_round.run(ctx, worker, counts)
        webhooks.forget_tries(ctx)
    return counts
