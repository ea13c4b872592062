"""What both engines of workers share, and which of them is asked. What an engine is, only rq.py and
celery.py know."""
from __future__ import annotations

from jobs_lib.catalogue import CRON, PRIORITIES
from jobs_lib.errors import JobsError
from jobs_lib.folders import way_to_packages

PERFORM = "jobs.perform"  # what every message names
CONNECT, ANSWER = 3, 5  # seconds that a broker is waited for
MARGIN = 60  # seconds after its own hard limit that an engine ends a run
# seconds that a message of the schedule is worth: then it is due again anyway
EXPIRES = 600


class Refused(JobsError):
    """A message that asks for what no message may: nothing of it is run."""


def engine(mode: str):
    """The adapter of an engine. JobsError, with the command that installs it, if its package is
    missing. It has

    enqueue(config, jobs, scheduled)  put a message for each job into its queue: to run it now, or
                                      only if its slot is still due; JobsError if the broker cannot
                                      be reached, or takes nothing: what is due stays due
    worker(config, burst, runs)       work until it is stopped, or, `burst`, is idle; runs has
                                      `perform`, what a message may ask for, and `refused`, for one
                                      that asks for anything else
    """
    try:
        return __import__(f"{__package__}.{mode}", fromlist=["enqueue"])
    except ImportError as error:
        way = way_to_packages(f"run `./install.sh --with {mode}` (in a bundle: `python3 -m pip "
                              f"install --target vendor {mode} redis`)")
        raise JobsError(f"mode = {mode} needs {mode}, which is not installed ({error}): {way}; or "
                        "set mode = cron, in [core] or the section that has it") from error


def engines(config, jobs: list) -> list[str]:
    """Those by which some of these jobs are run."""
    return sorted({config.mode(job) for job in jobs} - {CRON})


def queues(config) -> dict[str, str]:
    """{priority: the queue of its jobs}, most urgent first."""
    return {each: f"{config.section('worker').queues}_{each}" for each in PRIORITIES}


def longest(config, job) -> int:
    """The seconds after which an engine may end a run of the job by force."""
    hard_limit = config.job(job).budget + config.section("core").grace
    return int(hard_limit.total_seconds()) + MARGIN
