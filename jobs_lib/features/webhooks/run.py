"""One run of the webhooks: what is left of others first, then everything that is due."""
from __future__ import annotations

from jobs_lib.engines.queue import Worker
from jobs_lib.errors import JobsError

from . import deliveries


def send_due(ctx) -> dict:
    """Try every due delivery once, until all are done or the run has to stop. Counts."""
    seconds = ctx.section("webhooks").timeout.total_seconds()
    longest = (ctx.options.budget + ctx.section("core").grace).total_seconds()
    if longest <= seconds + deliveries.MARGIN:
        raise JobsError(f"[{ctx.job.name}] budget and [core] grace together are {longest:g} "
                        "seconds, and no request is begun with less than [webhooks] timeout and "
                        f"{deliveries.MARGIN:g}: make the budget longer")
    counts = ctx.counts
    counts.update(delivered=0, retried=0, failed=0)
    worker = Worker(ctx, deliveries.queue(ctx))
    worker.recover(counts)
    if worker.due(1):
        from . import dispatcher  # most runs have nothing to send and need not load it

        dispatcher.run(ctx, worker, counts)
        deliveries.forget_tries(ctx)
    return counts
