"""A job of priority last that takes as long as the test sets."""
from __future__ import annotations

from tests.support.product import Option, declare
from tests.support.product import option_types as kind


@declare(schedule="*/5 * * * *", priority="last", enabled=False, idempotency="It does nothing.",
         options={"takes": Option(kind.integer(0, 1000), "0", "Seconds, waited between items.")})
def job(ctx):
    """Wait, and say whether all of it was waited."""
    ctx.sleep(ctx.options.takes)
    return {"ticks": 1}
