"""Pause a job: cron will not start it until `resume`. It can still be run by hand.

A run in progress is not interrupted. What a paused job would have done waits in the database:
nothing is lost.
"""
from __future__ import annotations

from jobs_lib import catalogue, clock, schedule
from jobs_lib.errors import OK
from jobs_lib.text import moment

BY_FILE = True


def arguments(parser) -> None:
    """Declares JOB and --json."""
    parser.add_argument("job", metavar="JOB", type=catalogue.load, help="the job's name")
    parser.add_argument("--json", action="store_true", help="print the state as one JSON document, "
                        "times in UTC")


def run(args, make_session, config_path) -> int:
    """Record the pause. Of a job that is paused already, the time since when is kept."""
    session = make_session(config_path)
    db, now, name = session.ports.database(), session.ports.now(), args.job.name

    def work() -> str | None:
        since = paused_since(db, name)
        if since is None:
            db.upsert("job_state", {"job": name}, {"paused_at": now})
        return since

    since = db.batch(work)
    if args.json:
        answer(session, {"job": name, "paused_at": since or clock.text(now),
                         "changed": since is None})
    elif since is not None:
        session.console.report(f"{name} is paused already, since "
                             f"{local(session, clock.parse(since), now)}.")
    else:
        session.console.report(f"{name} is paused: cron will not start it. You can still run it by "
                             f"hand. To end the pause: `jobs.py resume {name}`")
    return OK


def paused_since(db, name: str) -> str | None:
    """When the job was paused, or None. Inside a transaction the row is held."""
    return db.value("SELECT paused_at FROM {job_state} WHERE job = :job" + db.for_update, job=name)


def local(session, time, now) -> str:
    """A time in the configured time zone, short."""
    name = session.config.section("core").timezone
    return f"{moment(time, now, schedule.zone(name))} ({name})"


def answer(session, found: dict) -> None:
    """Print the job's state as JSON."""
    session.console.document(found)
