"""Start a worker of RQ or Celery.

A worker takes the most urgent queue first and runs one job after the other, each by the same runner
as under cron: same locks, limits and history. The crontab line with run-due tells it what is due.
It works until it is stopped, usually by SIGTERM: see docs/workers.md for systemd and supervisor.
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.errors import OK, UsageError
from jobs_lib.launch import worker as runs
from jobs_lib.workers import dispatch


def arguments(parser) -> None:
    parser.add_argument("--burst", action="store_true", help="RQ: exit once the queues are empty")


def run(args, make_session, config_path) -> int:
    session = make_session(config_path)
    config = session.config
    jobs = catalogue.usable()[0]
    config.check(jobs)
    modes = dispatch.engines(config, jobs)
    if len(modes) != 1:
        raise UsageError("worker: " + (
            "the configuration names both rq and celery: set all modes to one of them" if modes else
            "every job is run by cron: set [core] mode = rq or celery, or the mode of a job"))
    mode, = modes
    engine = dispatch.engine(mode)
    session.console.say(f"{mode}: ready, waiting for jobs; Ctrl-C ends it after the current run")
    runs.serve(session)
    engine.worker(config, args.burst, runs)
    return OK
