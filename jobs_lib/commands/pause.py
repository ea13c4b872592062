"""Pause a job: cron will not start it until `resume`. It can still be run by hand. `pause all`
pauses every job.

A run in progress is not interrupted. What a paused job would have done waits in the database:
nothing is lost.
"""
from __future__ import annotations

from jobs_lib import catalogue, clock, schedule
from jobs_lib.errors import OK
from jobs_lib.runner.access import refuse_root
from jobs_lib.text import moment

ALL = "all"


def arguments(parser) -> None:
    """Declares JOB or all."""
    parser.add_argument("what", metavar=f"JOB|{ALL}", type=asked, help=f"the job's name, or {ALL}")


def asked(word: str):
    """The job, or ALL."""
    return word if word == ALL else catalogue.load(word)


def run(args, make_session, config_path) -> int:
    """Record the pause. Of a job that is paused already, the time since when is kept."""
    session = make_session(config_path)
    refuse_root(session.config, f"pause {getattr(args.what, 'name', args.what)}")
    db, now = session.ports.database(), session.ports.now()

    def work(name: str) -> str | None:
        since = paused_since(db, name)
        if since is None:
            db.upsert("job_state", {"job": name}, {"paused_at": now})
        return since

    names = catalogue.names() if args.what == ALL else [args.what.name]
    before = {name: db.batch(lambda name=name: work(name)) for name in names}
    if args.what == ALL:
        session.console.report(f"All {len(names)} jobs are paused: cron will not start them. Those "
                               f"at work end by themselves. To end the pause: `jobs.py resume "
                               f"{ALL}`")
    elif since := before[names[0]]:
        session.console.report(f"{names[0]} is paused already, since "
                             f"{local(session, clock.parse(since), now)}.")
    else:
        session.console.report(f"{names[0]} is paused: cron will not start it. You can still run "
                             f"it by hand. To end the pause: `jobs.py resume {names[0]}`")
    return OK


def paused_since(db, name: str) -> str | None:
    """When the job was paused, or None. Inside a transaction the row is held."""
    return db.value("SELECT paused_at FROM {job_state} WHERE job = :job" + db.for_update, job=name)


def local(session, time, now) -> str:
    """A time in the configured time zone, short."""
    name = session.config.section("core").timezone
    return f"{moment(time, now, schedule.zone(name))} ({name})"
