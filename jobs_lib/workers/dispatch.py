"""Which jobs are for workers, and giving them what is due. What an engine is, only rq.py and
celery.py know."""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.errors import JobsError
from jobs_lib.job import CRON, PRIORITIES
from jobs_lib.paths import way_to
from jobs_lib.records import namedtuple
from jobs_lib.runner import slots

MARGIN = 60                     # seconds after its own hard limit that an engine ends a run
SHOWN = 60                      # characters of what a broker says
# seconds that a message of the schedule is worth: then it is due again anyway
EXPIRES = 600

PACKAGES = {"rq": ("redis", "rq"), "celery": ("celery",)}

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

    It has `enqueue(config, [Message])`, `scheduler(config, queue)` and
    `worker(config, queues, burst, processes, runs)`.
    """
    try:
        for package in PACKAGES[mode]:          # here, and not in the middle of what it does
            __import__(package)
        return __import__(f"{__package__}.{mode}", fromlist=["enqueue"])
    except ImportError as error:
        package = "celery" if mode == "celery" else "rq"
        raise JobsError(f"mode = {mode} needs {package}, which is not installed ({error}): "
                        f"{way_to(package, package)}, or set [core] mode = cron") from error


def queues(config) -> list[str]:
    """The names of the queues, most urgent first."""
    return [f"{config.section('worker').queues}_{priority}" for priority in PRIORITIES]


def message(config, job, scheduled: bool) -> Message:
    """The message that asks for a run of this job."""
    longest = config.job(job).budget + config.section("core").grace
    return Message(job.name, scheduled, f"{config.section('worker').queues}_{job.priority}",
                   int(longest.total_seconds()) + MARGIN)


def enqueue(config, jobs: list, scheduled: bool) -> list[str]:
    """Give them to their engines. Their names. Raises BrokerAway; what it could not give stays
    due."""
    by_mode: dict = {}
    for job in jobs:
        by_mode.setdefault(config.mode(job), []).append(message(config, job, scheduled))
    for mode, messages in by_mode.items():
        engine(mode).enqueue(config, messages)
    return [job.name for job in jobs]


def hand_over(config, jobs: list) -> tuple[list, list[str], bool]:
    """Give to the workers what cron has found due: (jobs that cron is to run itself, what went
    wrong, a package).

    An engine that cannot be reached, or whose package is missing, keeps no other from its jobs.
    `package`: one is.
    """
    left: list = []
    problems: list[str] = []
    package = False
    for mode in dict.fromkeys(config.mode(job) for job in jobs):
        theirs = [job for job in jobs if config.mode(job) == mode]
        try:
            enqueue(config, theirs, True)
        except JobsError as error:
            package = package or not isinstance(error, BrokerAway)
            problems.append(f"{str(error).rstrip('.')}. The jobs of workers are run by cron "
                            "meanwhile")
            left += theirs
    return left, problems, package


def enqueue_due(config, ports) -> list[str]:
    """Give to the workers what is due of their jobs: what the engine's own scheduler asks for."""
    theirs = [job for job in catalogue.load_all([]) if config.mode(job) != CRON]
    found, _ = slots.due_slots(config, ports, theirs)
    return enqueue(config, [item.job for item in found], True)


def shown(word) -> str:
    """Something from the broker as it may be shown."""
    return ascii(word)[:SHOWN]
