"""Give a job to the workers of RQ or Celery, to be run now.

Its schedule does not matter. For a job whose mode is rq or celery; any other is run now by `jobs.py
JOB`. The worker runs it by the same runner as cron does: if it is running already, the second run
ends at once. More: docs/workers.md.
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.catalogue import CRON
from jobs_lib.errors import OK, UsageError
from jobs_lib.workers import dispatch


def arguments(parser) -> None:
    parser.add_argument("job", metavar="JOB", help="a job whose mode is rq or celery")


def run(args, make_session, config_path) -> int:
    session = make_session(config_path)
    job = catalogue.load(args.job)
    mode = session.config.mode(job)
    if mode == CRON:
        raise UsageError(f"enqueue: {job.name} is run by cron: set [core] mode, or [{job.name}] "
                         f"mode, to rq or celery; `jobs.py {job.name}` runs it here and now")
    if not session.config.job(job).enabled:
        raise UsageError(f"enqueue: {job.name} is disabled, and no worker runs it: `jobs.py "
                         f"{job.name}` runs it here and now")
    dispatch.engine(mode).enqueue(session.config, [job], False)
    session.console.say(f"{job.name}: enqueued")
    return OK
