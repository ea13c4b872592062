"""Pause a job: cron will not start it until `resume`. It can still be run by hand. `pause all`
pauses every job.

A run in progress is not interrupted. What a paused job would have done waits in the database:
nothing is lost.
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.errors import OK

ALL = "all"


def arguments(parser) -> None:
    parser.add_argument("what", metavar=f"JOB|{ALL}", help=f"the job's name, or {ALL}")


def asked(what: str) -> list:
    """The names of the jobs that are meant, also of one whose file is missing."""
    return catalogue.names() if what == ALL else [catalogue.load(what).name]


def run(args, make_session, config_path) -> int:
    """Record the pause. Of a job that is paused already, the time since when is kept."""
    jobs, session = asked(args.what), make_session(config_path)
    db = session.ports.database()
    for name in jobs:
        if paused_since(db, name) is None:
            db.upsert("job_state", {"job": name}, {"paused_at": session.ports.now()})
    who = f"All {len(jobs)} jobs are" if args.what == ALL else f"{args.what} is"
    session.console.report(f"{who} paused: cron will not start what is paused, but you can still "
                           "run it by hand. A run in progress continues. To end the pause: "
                           f"`jobs.py resume {args.what}`")
    return OK


def paused_since(db, name: str) -> str | None:
    """When the job was paused, or None."""
    return db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=name)
