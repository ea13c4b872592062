"""Workers: is the engine installed, and does its broker take messages?"""
from __future__ import annotations

from .. import workers
from ..errors import JobsError
from ..findings import ok, problem, run
from ..job import CRON
from . import NothingToAsk


def broker(patient):
    """Each engine that a job is to be run by is asked; nothing is put into a queue."""
    config, usual = patient.config, patient.section("core").mode
    modes = sorted({patient.job(job).mode or usual for job in patient.jobs} - {CRON})
    if not modes:
        raise NothingToAsk
    for mode in modes:
        try:
            workers.engine(mode).enqueue(config, [])
            yield ok(f"the broker of mode = {mode} is there")
        except workers.BrokerAway as error:
            what = "runs their jobs itself" if patient.section("worker").fallback == CRON else "lets their jobs wait"
            yield problem(f"The workers' broker cannot be used: {error}", f"Meanwhile `run-due` {what}.",
                          run("Start it, or mend [worker] in config.ini. Or do without:", "[core]", "mode = cron"))
        except JobsError as error:
            yield problem(str(error), "No job of that mode runs.", "docs/workers.md, Step by step, has the commands.")


CHECKS = (broker,)
