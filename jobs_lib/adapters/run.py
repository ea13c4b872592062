"""What a worker does with a name from its queue: one run of that job, by the same runner as under cron.

Nothing is trusted to the queue but that somebody should look: whether the job is due, whether another has its lock,
and which rows are whose stands in the database. So a message that comes twice, late or never does no harm.
"""
from __future__ import annotations

import threading

from .. import catalogue, runner, workers
from ..cli import Session
from ..errors import JobsError
from ..render.words import outcome_words
from ..run_job import publish, scheduled_slot


class RunFailed(JobsError):
    """The run ended badly; the engine shows it as failed. It is in the history and in the log all the same."""


def perform(name: str, scheduled: bool, config_path: str | None) -> dict:
    """Run a job or one shard of it, now, or if its slot is still due. Its outcome; RunFailed if it failed."""
    if threading.current_thread() is not threading.main_thread():
        raise JobsError("jobs need a process of their own: start the worker with processes (prefork), not with threads")
    job = catalogue.part(name)
    session = Session(config_path)
    try:
        slot = scheduled_slot(session, job) if scheduled else None
        if scheduled and slot is None:
            return {}
        result = runner.run(job, session.config, session.ports, runner.Request(runner.WORKER, slot), session.console)
        publish([result], session.config, session.ports, session.console)
    finally:
        session.ports.close()
    if result["status"] in runner.EXIT_CODES:
        raise RunFailed(outcome_words(result))
    return runner.as_json(result)


def tick(config_path: str | None) -> list[str]:
    """Give to the workers what is due, as the engine's own scheduler asks for each minute. The names."""
    session = Session(config_path)
    try:
        return workers.enqueue_due(session.config, session.ports)
    finally:
        session.ports.close()
