"""Fail in one of the ways in which a job may."""
from tests.support.product import Busy, JobsError, Option, declare
from tests.support.product import option_types as kind

RAISED = {"error": JobsError("the well is dry: dig deeper"),
          "exit": SystemExit("a library gave up"), "busy": Busy("another process was writing")}


@declare(schedule="*/5 * * * *", enabled="no",
         options={"how": Option(kind.text, "error", "error, defect, exit, busy or no.")})
def job(ctx):
    """Two items, then the end."""
    ctx.progress(2, 5)
    how = ctx.options.how
    if how == "defect":
        return 1 / 0
    if how in RAISED:
        raise RAISED[how]
    return {}
