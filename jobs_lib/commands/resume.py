"""Resume a paused job, from the next time of its schedule on. `resume all` resumes every one.

The job is not run for the times that passed while it was paused. To run it now: `jobs.py JOB`. Of
a job that has never run, such as beside the tables of an app, it is printed first what it would do,
and what the guard would hold back of it is confirmed by that.

While the clock is in doubt, or the database looks like a restored backup, `resume all` prints what
would go out and ends that; paused jobs are resumed when it is called again.
"""
from __future__ import annotations

from jobs_lib import clock, schedule
from jobs_lib.engines import guard
from jobs_lib.errors import OK, ConfigError, JobsError
from jobs_lib.monitoring import overview
from jobs_lib.output.layout import Screen
from jobs_lib.runner import doubt

from .pause import ALL, arguments, opened, paused_since

__all__ = ["arguments", "run"]


def run(args, make_session, config_path) -> int:
    """End the pause; slots up to now are never due (`due_after`)."""
    session, db, what = opened(make_session, config_path, "resume", args.what)
    if what == ALL and _end_doubt(session, db):
        return OK
    paused = [(job, since) for job in args.what if (since := paused_since(db, job.name))]
    for job, since in paused:
        session.console.report(_resume(session, db, job, since))
    if not paused:
        who = "No job is" if what == ALL else f"{what} is not"
        session.console.report(f"{who} paused; nothing was changed.")
    return OK


def _end_doubt(session, db) -> bool:
    """Whether there was a doubt (runner/doubt.py), which is over now."""
    now, found = session.ports.now(), doubt.stored_doubt(db)
    if found is None:
        return False
    waiting = [f"{queue['due']:,} waiting in {queue['name']}" for queue in
               overview.collect(session.config, db, now)["queues"] if queue["due"]]
    doubt.accept(db, now)
    session.console.report(
        f"The doubt is over that began at {_local(session, found.since)}: {found.what}. Jobs "
        f"send and delete again from their next run on; due now: {', '.join(waiting) or 'nothing'}."
        " What must not go out: `jobs.py cancel QUEUE --all --before TIME`. To resume paused jobs, "
        "call this again.")
    return True


def _local(session, time) -> str:
    """A time in the configured zone, short."""
    screen = Screen(session)
    return f"{screen.at(time if isinstance(time, str) else clock.text(time))} ({screen.zone_name})"


def _resume(session, db, job, since: str) -> str:
    """Resume it; since when it was paused and when it runs next, in words."""
    now = session.ports.now()
    _show_first_run(session, db, job, now)
    db.upsert("job_state", {"job": job.name}, {"paused_at": None, "due_after": now})
    try:
        options = session.config.job(job)
        zone = session.config.zone()
        following = _local(session, schedule.following(options.schedule, now, zone))
        then = (f"Next run: {following}" if options.enabled
                else f"But it is disabled: [{job.name}] enabled = no")
    except ConfigError as error:            # of one job, which keeps no other paused
        then = f"But {str(error).rstrip('.')}"
    return f"{job.name} is resumed. It was paused since {_local(session, since)}. {then}."


def _show_first_run(session, db, job, now) -> None:
    """Print what a job that has never run would do now; what the guard would hold back of it is
    confirmed by that."""
    if db.row("SELECT id FROM {job_runs} WHERE job = :job AND status <> 'skipped' LIMIT 1",
              job=job.name):
        return
    from jobs_lib.runner import runner
    from jobs_lib.text import counts_words
    try:
        result = runner.run(session, job, runner.Request(dry_run=True))
        words = result["error"] or counts_words(result["counts"]) or "nothing"
    except JobsError as error:
        result, words = {}, str(error)
    session.console.report(f"{job.name} would do now: {words}")
    if held := result.get("held"):
        guard.remember(db, job.name, {}, now, confirmed=held)
