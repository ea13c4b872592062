"""One run of the webhooks: what is left of others first, then everything that is due."""
from __future__ import annotations

from jobs_lib.engines.idle import is_idle
from jobs_lib.errors import JobsError
from jobs_lib.text import counted


def send_due(ctx) -> None:
    """Try every due delivery once, until all are done or the run has to stop."""
    ctx.counts.update(delivered=0, retried=0, failed=0)
    if is_idle(ctx, "webhook_deliveries", ("delivered", "failed")):
        return
    from jobs_lib.engines.old_queue import QueueClaims
    from jobs_lib.engines.recovery import recover

    from . import deliveries
    seconds = ctx.section("webhooks").timeout.total_seconds()
    longest = (ctx.options.budget + ctx.section("core").grace).total_seconds()
    if longest <= seconds + deliveries.MARGIN:
        raise JobsError(f"[{ctx.job.name}] budget and [core] grace together are {longest:g} "
                        "seconds, and no request is begun with less than [webhooks] timeout and "
                        f"{deliveries.MARGIN:g}: make the budget longer")
    claims = QueueClaims(ctx, deliveries.queue(ctx))
    if recover(claims) and claims.due(1):
        # most runs have nothing to send and need not load these
        from . import endpoints
        from .dispatcher import Dispatcher

        Dispatcher(ctx, claims).send_due()
        endpoints.forget_tries(ctx)


def preview(ctx) -> None:
    """A dry run: what would be sent. No name is resolved and nothing connected to."""
    from functools import partial

    from jobs_lib.engines import queue_preview

    from .work_queue import QUEUE

    def title(number: int, rows: list[dict]) -> str:
        to = counted(len({row["webhook_id"] for row in rows}), "endpoint")
        return f"send {counted(number, 'due delivery', 'due deliveries')} to {to}"
    queue_preview.preview(ctx, QUEUE, partial(QUEUE.reasons_to_cancel, ctx), title)
