"""Start a worker of RQ or Celery, or its scheduler.

A worker takes the most urgent queue first and runs one job after the other, each by the same runner
as under cron: same locks, slots, limits, history. --scheduler starts the engine's scheduler, which
enqueues what is due each minute; a crontab line with run-due does the same. Both run until they are
stopped, usually by SIGTERM: see docs/workers.md for systemd and supervisor.
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.errors import UsageError
from jobs_lib.job import CRON, MODES, PRIORITIES
from jobs_lib.launch import worker as runs
from jobs_lib.text import at_most, one_of
from jobs_lib.workers import dispatch

MOST_PROCESSES = 64


def arguments(parser) -> None:
    """Declares --engine, --priorities, --processes, --burst, --scheduler."""
    parser.add_argument("--engine", type=one_of(*MODES[1:]), metavar="|".join(MODES[1:]),
                        help="which engine, if the configuration names both")
    parser.add_argument("--priorities", metavar="LIST", default=",".join(PRIORITIES),
                        help="only the queues of these priorities (default: "
                        f"{','.join(PRIORITIES)})")
    parser.add_argument("--processes", type=at_most(MOST_PROCESSES), default=1, metavar="N",
                        help="Celery: this many runs at once; with RQ, start as many workers "
                        "(default: 1)")
    parser.add_argument("--burst", action="store_true", help="RQ: exit once the queues are empty")
    parser.add_argument("--scheduler", action="store_true", help="start the engine's scheduler "
                        "instead of a worker")


def run(args, make_session, config_path) -> int:
    """Work until the worker is stopped."""
    session = make_session(config_path)
    config = session.config
    jobs = catalogue.load_all()
    config.check(jobs)
    mode = args.engine or _only_engine(config, jobs)
    engine, queues = dispatch.engine(mode), dispatch.queues(config)
    if args.scheduler:
        return engine.scheduler(config, queues[0])
    wanted = [word.strip() for word in args.priorities.split(",")]
    for word in wanted:
        one_of(*PRIORITIES)(word)
    chosen = [queue for queue, priority in zip(queues, PRIORITIES) if priority in wanted]
    session.console.say(f"{mode}: waiting for {', '.join(chosen)}; Ctrl-C ends it after the run in "
                        "hand")
    runs.serve(config)
    return engine.worker(config, chosen, args.burst, args.processes, runs)


def _only_engine(config, jobs) -> str:
    found = {config.mode(job) for job in jobs} - {CRON}
    if len(found) != 1:
        why = "the configuration names both rq and celery: choose one by --engine" if found else (
            "every job is run by cron: set [core] mode = rq or celery, or the mode of a job")
        raise UsageError(f"worker: {why}")
    return found.pop()
