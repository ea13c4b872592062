"""Pause a job: cron will not start it until `resume`. It can still be run by hand. `pause all`
pauses every job.

A run in progress is not interrupted. What a paused job would have done waits in the database:
nothing is lost.
"""
from __future__ import annotations

from jobs_lib import catalogue
from jobs_lib.errors import OK
from jobs_lib.runner.access import refuse_root

ALL = "all"


def arguments(parser) -> None:
    """Declares JOB or all."""
    parser.add_argument("what", metavar=f"JOB|{ALL}", type=asked, help=f"the job's name, or {ALL}")


def asked(word: str) -> list:
    """The jobs that are meant; a broken file of one keeps no other running."""
    return catalogue.load_all([]) if word == ALL else [catalogue.load(word)]


def opened(make_session, config_path, command: str, jobs: list) -> tuple:
    """(the session, its database, what the command was called with)."""
    session, what = make_session(config_path), ALL if len(jobs) > 1 else jobs[0].name
    refuse_root(session.config, f"{command} {what}")
    return session, session.ports.database(), what


def run(args, make_session, config_path) -> int:
    """Record the pause. Of a job that is paused already, the time since when is kept."""
    session, db, what = opened(make_session, config_path, "pause", args.what)
    for job in args.what:
        if paused_since(db, job.name) is None:
            db.upsert("job_state", {"job": job.name}, {"paused_at": session.ports.now()})
    who = f"All {len(args.what)} jobs are" if what == ALL else f"{what} is"
    session.console.report(f"{who} paused: cron starts nothing of it. What is at work ends by "
                           "itself, and by hand a job can still be run. To end the pause: "
                           f"`jobs.py resume {what}`")
    return OK


def paused_since(db, name: str) -> str | None:
    """When the job was paused, or None."""
    return db.value("SELECT paused_at FROM {job_state} WHERE job = :job", job=name)
