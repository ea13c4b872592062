"""What a worker does with a message: one run of that job, by the same runner as under cron.

A message only says that somebody should look: what is due is in the database, so one that comes
twice, late or never does no harm. Whoever can write to the broker can have a job of this
installation run, and nothing else: the configuration is that of the worker, and a message that asks
for more is Refused.
"""
from __future__ import annotations

import os
import sys

from jobs_lib import catalogue
from jobs_lib.errors import DatabaseError, JobsError, NoAccess
from jobs_lib.runner import outcome, runner, slots
from jobs_lib.runner.log import Log
from jobs_lib.workers.dispatch import Refused

from .launch import end_outages, open_session, outages

_serving: dict = {}


class RunFailed(JobsError):
    """The run ended badly; the engine shows it as failed."""


def serve(session) -> None:
    """Whose jobs this process and its children run: called once, at first."""
    config = session.config
    _serving["path"] = os.path.abspath(config.path) if config.found else None
    _serving["console"] = session.console


def perform(*asked) -> dict:
    """Run a job, now, or if its slot is still due. Its outcome; RunFailed if it failed. `asked`:
    (name, whether its slot is meant); Refused if it is anything else."""
    session = _session()
    try:
        return _run(session, asked)
    except Refused:
        raise
    except JobsError as error:
        # an outage is alerted from here, as in a run by cron: check_jobs cannot
        is_outage = isinstance(error, (DatabaseError, NoAccess))
        if is_outage and not outages(session).record(error)[1]:
            return {}  # another writer, for a moment: what is due stays due
        session.console.fail(f"jobs.py: {error}")
        raise
    finally:
        session.ports.close()


def _run(session, asked: tuple) -> dict:
    job, scheduled = _asked_for(asked, session.config)
    slot = slots.slot_of(session.config, session.ports, job) if scheduled else None
    end_outages(session)
    if scheduled and slot is None:
        return {}
    result = runner.run(session, job, runner.Request("worker", slot))
    if result["status"] in outcome.EXIT_CODES:
        raise RunFailed(outcome.outcome_words(result))
    return outcome.as_json(result)


def _asked_for(asked: tuple, config) -> tuple:
    """(the job, whether its slot is meant); Refused if no message of ours would ask so."""
    if [type(each) for each in asked] != [str, bool]:
        raise Refused("it has other arguments than the name of a job and whether its slot is meant")
    name, scheduled = asked
    if name not in catalogue.names():
        raise Refused("it asks for a job that does not exist")
    job = catalogue.load(name)
    if not scheduled and not config.job(job).enabled:
        raise Refused(f"{name} is disabled: `jobs.py {name}` runs it here and now")
    return job, scheduled


def refused(queue, message, why: Refused) -> None:
    """Report it in worker.log, and on stderr for the service manager."""
    # in words that whoever can write to the broker may have chosen
    queue, message = f"{queue!a:.60}", f"{message!a:.60}"
    log = Log(_session().config.section("core"), "worker")
    log.warning("message refused", queue=queue, message=message, why=str(why))
    log.close()
    print(f"jobs.py: refused the message {message} in the queue {queue}: {why}", file=sys.stderr)


def _session():
    if "path" not in _serving:
        raise JobsError("no job runs here: start the worker with `jobs.py worker`, which knows the "
                        "configuration")
    return open_session(_serving["console"], _serving["path"])
