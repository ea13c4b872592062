"""One run of the webhooks: what is left of others first, then everything that is due."""
from __future__ import annotations

from jobs_lib.engines.queue import Worker
from jobs_lib.engines.recovery import count_unclaimable, recover
from jobs_lib.engines.rows import invalid
from jobs_lib.errors import JobsError

from . import deliveries

LOOKED_AT, SHOWN = 1000, 10                # rows that a dry run judges one by one, and shows


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
    recover(worker)
    if worker.due(1):
        # most runs have nothing to send and need not load these
        from . import endpoints
        from .dispatcher import Dispatcher

        Dispatcher(ctx, worker).send_due()
        endpoints.forget_tries(ctx)
    return counts


def preview(ctx) -> dict:
    """A dry run: what would be sent, judged on the state now. No name is resolved and nothing
    connected to."""
    from . import endpoints

    worker = Worker(ctx, deliveries.queue(ctx))
    count_unclaimable(worker)
    due = ctx.within_limit(worker.count_due())
    rows = worker.due(min(due, LOOKED_AT))
    wrong = invalid(worker.queue.table, rows)
    right = [row for row in rows if row["id"] not in wrong]
    known = endpoints.current(ctx.db, list({row["webhook_id"] for row in right}))
    cancelled = {**endpoints.reasons_to_cancel(ctx.db, right, known),
                 **{id: f"invalid: {reason}" for id, reason in wrong.items()}}
    ctx.show(f"send {due - len(cancelled):,} due deliveries to "
             f"{len({row['webhook_id'] for row in right}):,} endpoints",
             [row for row in rows if row["id"] not in cancelled][:SHOWN])
    if cancelled:
        ctx.show(f"cancel {len(cancelled):,}: {', '.join(sorted(set(cancelled.values())))}",
                 [row for row in rows if row["id"] in cancelled][:SHOWN])
    return {**ctx.counts, "delivered": due - len(cancelled), "cancelled": len(cancelled)
            - len(wrong), **({"invalid": len(wrong)} if wrong else {})}
