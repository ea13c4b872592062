"""Resume a paused job, from the next time of its schedule on. `resume all` resumes every one.

The job is not run for the times that passed while it was paused. To run it now: `jobs.py JOB`. Of
a job that has never run, such as beside the tables of an app, it is printed first what it would do,
and what the guard would hold back of it is confirmed by that.

While the clock is in doubt, or the database looks like a restored backup, `resume all` prints what
would go out and ends that; paused jobs are resumed when it is called again.
"""
from __future__ import annotations

from jobs_lib import catalogue, schedule
from jobs_lib.database import stored
from jobs_lib.engines import guard
from jobs_lib.errors import OK, ConfigError, JobsError
from jobs_lib.monitoring import overview
from jobs_lib.runner import doubt
from jobs_lib.runner.access import refuse_root

from .pause import ALL, asked, local, paused_since


def arguments(parser) -> None:
    """Declares JOB or all."""
    parser.add_argument("what", metavar=f"JOB|{ALL}", type=asked, help=f"the job's name, or {ALL}")


def run(args, make_session, config_path) -> int:
    """End the pause; slots up to now are never due (`due_after`)."""
    session = make_session(config_path)
    refuse_root(session.config, f"resume {getattr(args.what, 'name', args.what)}")
    if args.what == ALL and _end_doubt(session):
        return OK
    jobs = catalogue.load_all() if args.what == ALL else [args.what]
    words = {job.name: _resume(session, job) for job in jobs}
    for name, text in words.items():
        if text:
            session.console.report(f"{name} is resumed. {text}")
        elif args.what != ALL:
            session.console.report(f"{name} is not paused; nothing was changed.")
    if args.what == ALL and not any(words.values()):
        session.console.report("No job is paused; nothing was changed.")
    return OK


def _end_doubt(session) -> bool:
    """Whether there was a doubt (runner/doubt.py), which is over now."""
    db, now = session.ports.database(), session.ports.now()
    found = doubt.stored_doubt(db)
    if found is None:
        return False
    waiting = [f"{queue['due']:,} waiting in {queue['name']}" for queue in
               overview.collect(session.config, db, now)["queues"] if queue["due"]]
    doubt.accept(db, now)
    session.console.report(
        f"The doubt is over that began at {local(session, found.since, now)}: {found.what}. Jobs "
        f"send and delete again from their next run on; due now: {', '.join(waiting) or 'nothing'}."
        " What must not go out: `jobs.py cancel QUEUE --all --before TIME`. To resume paused jobs, "
        "call this again.")
    return True


def _resume(session, job) -> str:
    """Resume it. Since when it was paused and when it runs next; "" for one that was not paused."""
    db, now = session.ports.database(), session.ports.now()
    if paused_since(db, job.name) is None:
        return ""
    _show_first_run(session, db, job, now)

    def work() -> str | None:
        since = paused_since(db, job.name)
        db.upsert("job_state", {"job": job.name}, {"paused_at": None, "due_after": now})
        return since

    paused = stored.time(db.batch(work))
    since = local(session, paused, now) if paused else stored.UNKNOWN
    try:
        options = session.config.job(job)
        zone = schedule.zone(session.config.section("core").timezone)
        following = local(session, schedule.following(options.schedule, now, zone), now)
        then = (f"Next run: {following}" if options.enabled
                else f"But it is disabled: [{job.name}] enabled = no")
    except ConfigError as error:            # of one job, which keeps no other paused
        then = f"But {str(error).rstrip('.')}"
    return f"It was paused since {since}. {then}."


def _show_first_run(session, db, job, now) -> None:
    """Print what a job that has never run would do now; what the guard would hold back of it is
    confirmed by that."""
    if db.row("SELECT id FROM {job_runs} WHERE job = :job AND status <> 'skipped' LIMIT 1",
              job=job.name):
        return
    from jobs_lib.runner import outcome, runner
    try:
        result = runner.run(session, job, runner.Request(dry_run=True))
        words = result["error"] or outcome.counts_words(result["counts"]) or "nothing"
    except JobsError as error:
        result, words = {}, str(error)
    session.console.report(f"{job.name} would do now: {words}")
    if held := result.get("held"):
        guard.remember(db, job.name, {}, now, confirmed=held)
