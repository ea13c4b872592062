"""Giving to the workers what is due of their jobs. What an engine is, only rq.py and celery.py
know."""
from __future__ import annotations

from jobs_lib.catalogue import CRON, PRIORITIES
from jobs_lib.errors import JobsError
from jobs_lib.folders import way_to
from jobs_lib.records import namedtuple

PERFORM = "jobs.perform"        # what every message names
MARGIN = 60                     # seconds after its own hard limit that an engine ends a run
SHOWN = 60                      # characters of what a broker says
# seconds that a message of the schedule is worth: then it is due again anyway
EXPIRES = 600

Message = namedtuple("Message", "name scheduled queue seconds")
Message.__doc__ = """What an adapter puts into a queue.

name       of a job
scheduled  whether it runs only if its slot is still due
queue      by the job's priority
seconds    after which the engine may end it by force
"""


class BrokerAway(JobsError):
    """The broker cannot be reached, or takes nothing. Nothing is lost by it: what is due stays
    due."""


class Refused(JobsError):
    """A message that is none of ours, or asks for what no message may: nothing of it is run."""


def engine(mode: str):
    """The adapter of an engine. JobsError, with the command that installs it, if its package is
    missing.

    It has `enqueue(config, [Message])` and `worker(config, queues, burst, runs)`.
    """
    try:
        return __import__(f"{__package__}.{mode}", fromlist=["enqueue"])
    except ImportError as error:
        raise JobsError(f"mode = {mode} needs {mode}, which is not installed ({error}): "
                        f"{way_to(mode, mode)}, or set [core] mode = cron") from error


def engines(config, jobs: list) -> list[str]:
    """Those by which some of these jobs are run."""
    return sorted({config.mode(job) for job in jobs} - {CRON})


def queues(config) -> list[str]:
    """The names of the queues, most urgent first."""
    return [f"{config.section('worker').queues}_{priority}" for priority in PRIORITIES]


def enqueue(config, mode: str, jobs: list, scheduled: bool) -> None:
    """Ask this engine for a run of each job. Raises BrokerAway; what it could not give stays
    due."""
    messages = []
    for job in jobs:
        longest = config.job(job).budget + config.section("core").grace
        messages.append(Message(job.name, scheduled,
                                f"{config.section('worker').queues}_{job.priority}",
                                int(longest.total_seconds()) + MARGIN))
    engine(mode).enqueue(config, messages)


def shown(word) -> str:
    """Something from the broker as it may be shown."""
    return ascii(word)[:SHOWN]
