"""Fail in one of the ways in which a job may."""
from __future__ import annotations

import sys

from tests.support.product import Busy, JobsError, Option, declare
from tests.support.product import option_types as kind


@declare(schedule="*/5 * * * *", enabled="no",
         options={"how": Option(kind.text, "error", "error, defect, exit, busy or no.")})
def job(ctx):
    """Two items, then the end."""
    ctx.progress(2, 5)
    how = ctx.options.how
    if how == "error":
        raise JobsError("the well is dry: dig deeper")
    if how == "defect":
        return 1 / 0
    if how == "exit":
        sys.exit("a library gave up")
    if how == "busy":
        raise Busy("another process was writing")
    return {}
