"""Jobs that take as long as the test sets, one of each priority: tests/support/odd_jobs/."""
from __future__ import annotations

from tests.support.product import Option, declare
from tests.support.product import option_types as kind


def ticking(module: str, priority: str):
    """The job of that module, of that priority."""
    def work(ctx):
        ctx.sleep(ctx.options.takes)
        return {"ticks": 1}
    work.__module__ = module
    return declare(schedule="*/5 * * * *", priority=priority, enabled="no",
                   options={"takes": Option(kind.integer(0, 1000), "0",
                                            "Seconds, waited between items.")})(work)
