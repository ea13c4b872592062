"""Show the state of jobs, queues and host; exit 1 when something needs you.

First what needs you, each with since when and what to run next; then what waits in the queues; then
every job with its last run and its next. With a JOB it is that one alone: what it waits for, its
queue, what is wrong with it and its last runs. It reads little: run it as often as you like. Times
are in `[core] timezone`, in the JSON in UTC.
"""
from __future__ import annotations

from jobs_lib.database.schema import version
from jobs_lib.errors import FAILED, OK


def arguments(parser) -> None:
    """Declares JOB and --json."""
    parser.add_argument("job", nargs="?", metavar="JOB", help="only this job")
    parser.add_argument("--json", action="store_true", help="print one object: incidents, jobs, "
                        "queues, mail, disks; of a JOB: job, waits_for, incidents, queue, runs")


def run(args, make_session, config_path) -> int:
    """Print it. 1 when there is an incident."""
    from jobs_lib.monitoring import overview

    session = make_session(config_path)
    db, now = session.ports.database(), session.ports.now()
    version.check(db)
    if args.job is not None:
        return _one(args, session, db, now)
    found = overview.collect(session.config, db, now)
    if args.json:
        session.console.document(found)
    else:
        from jobs_lib.output.screen import Screen
        from jobs_lib.output.status import status
        session.console.answer(status(found, Screen(session)))
    return FAILED if found["incidents"] else OK


def _one(args, session, db, now) -> int:
    from jobs_lib import catalogue
    from jobs_lib.monitoring import one_job
    from jobs_lib.output.screen import Screen

    from .list import run_object

    job, screen = catalogue.load(args.job), Screen(session)
    if args.json:
        found = one_job.collect(session.config, db, now, job)
        session.console.document({**found, "runs": [run_object(row) for row in found["runs"]]})
    else:
        from jobs_lib.output.one_job import one_job as text
        found = one_job.collect(session.config, db, now, job, screen.at)
        session.console.answer(text(found, screen))
    return FAILED if found["incidents"] else OK
