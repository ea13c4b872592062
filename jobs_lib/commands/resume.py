"""Resume a paused job, from the next time of its schedule on. `resume all` resumes
every one.

The job is not run for the times that passed while it was paused. To run it now:
`jobs.py JOB`. If the job has never run, as beside the tables of an app, it
first prints what the job would do; that also confirms what the guard would stop
(docs/failures.md).

While the clock is in doubt, or the database looks like a restored backup,
`resume all` ends that and prints what will be sent; call it again to resume
paused jobs.
"""
from __future__ import annotations

from jobs_lib import catalogue, clock
from jobs_lib.engines import guard
from jobs_lib.errors import OK, JobsError
from jobs_lib.monitoring import overview
from jobs_lib.output.layout import Screen
from jobs_lib.runner import doubt, runner
from jobs_lib.text import counted, counts_words

from .pause import ALL, arguments, asked, paused_since

__all__ = ["arguments", "run"]


def run(args, make_session, config_path) -> int:
    """End the pause; slots up to now are never due (`due_after`)."""
    jobs, session = asked(args.what), make_session(config_path)
    db, screen = session.ports.database(), Screen(session)
    if args.what == ALL and (found := doubt.stored_doubt(db)):
        _end_doubt(session, db, screen, found)
        return OK
    paused = [(name, since) for name in jobs if (since := paused_since(db, name))]
    for name, since in paused:
        _show_first_run(session, db, name, args.what != ALL)
        db.upsert("job_state", {"job": name},
                  {"paused_at": None, "due_after": session.ports.now()})
        if args.what != ALL:
            session.console.report(f"{name} is resumed. It had been paused since "
                                   f"{screen.at(since)} ({screen.zone}).")
    if paused and args.what == ALL:
        session.console.report(f"{counted(len(paused), 'job')} resumed: cron starts each at the "
                               "next time of its schedule.")
    if not paused:
        who = "No job is" if args.what == ALL else f"{args.what} is not"
        session.console.report(f"{who} paused; nothing was changed.")
    return OK


def _end_doubt(session, db, screen: Screen, found) -> None:
    """Print what would go out, and end the doubt (runner/doubt.py)."""
    now = session.ports.now()
    waiting = [f"{queue['due']:,} waiting in {queue['name']}" for queue in
               overview.collect(session.config, db, now)["queues"] if queue["due"]]
    doubt.accept(db, now)
    session.console.report(
        f"The {'clock' if found.what == doubt.CLOCK else 'database'} is trusted again. "
        f"It had been in doubt since {screen.at(clock.text(found.since))} ({screen.zone}). "
        "Jobs send and delete again from their next run on; "
        f"due now: {', '.join(waiting) or 'nothing'}. Before that run, "
        "cancel what must not go out: `jobs.py cancel QUEUE ID ...`. "
        "To resume paused jobs, call this again.")


def _show_first_run(session, db, name: str, also_nothing: bool) -> None:
    """Print what a job that has never run would do, if it is anything; what the guard would hold
    back of it is confirmed by that."""
    if db.row("SELECT id FROM {job_runs} WHERE job = :job AND status <> 'skipped' LIMIT 1",
              job=name):
        return
    try:
        result = runner.run(session, catalogue.load(name), runner.Request(dry_run=True))
        wrong = result["error"]
    except JobsError as error:
        result, wrong = {"stop_reason": None, "counts": {}}, str(error)
    if (result["stop_reason"] or "").startswith("SIG"):     # it saw a part, and Ctrl-C is a no
        raise JobsError(f"stopped by {result['stop_reason']}: {name} is still paused")
    text = wrong or counts_words(result["counts"]) or result["stop_reason"]
    if held := result.get("held"):
        guard.remember(db, name, {}, session.ports.now(), confirmed=held)
        text += "; its first run also does what is held"
    if text or also_nothing:
        session.console.report(f"{name} has never run. A dry run {'failed' if wrong else 'says'}: "
                               f"{text or 'nothing to do'}")
