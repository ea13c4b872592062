"""Resume a paused job, from the next time of its schedule on. `resume all` resumes every one.

The job is not run for the times that passed while it was paused. To run it now: `jobs.py JOB`. Of
a job that has never run, such as beside the tables of an app, it is printed first what it would do,
and what the guard would hold back of it is confirmed by that.

While the clock is in doubt, or the database looks like a restored backup, `resume all` prints what
would go out and ends that; paused jobs are resumed when it is called again.
"""
from __future__ import annotations

from jobs_lib import catalogue, clock, schedule
from jobs_lib.engines import guard
from jobs_lib.errors import OK, ConfigError, JobsError
from jobs_lib.monitoring import overview
from jobs_lib.runner import doubt
from jobs_lib.runner.access import refuse_root

from .pause import ALL, answer, asked, local, paused_since


def arguments(parser) -> None:
    """Declares JOB or all, and --json."""
    parser.add_argument("what", metavar=f"JOB|{ALL}", type=asked, help=f"the job's name, or {ALL}")
    parser.add_argument("--json", action="store_true", help="print the state as one JSON document, "
                        "times in UTC; of all, an array")


def run(args, make_session, config_path) -> int:
    """End the pause; slots up to now are never due (`due_after`)."""
    session = make_session(config_path)
    refuse_root(session.config, f"resume {getattr(args.what, 'name', args.what)}")
    if args.what == ALL and _end_doubt(session, args.json):
        return OK
    jobs = catalogue.load_all() if args.what == ALL else [args.what]
    found = [{**_at_once(session, job, args.json), **_resume(session, job)} for job in jobs]
    if args.json:
        answer(session, found if args.what == ALL else found[0])
        return OK
    for job, state in zip(jobs, found):
        if args.what != ALL or state["changed"]:
            session.console.report(_words(session, job, state))
    if args.what == ALL and not any(state["changed"] for state in found):
        session.console.report("No job is paused; nothing was changed.")
    return OK


def _end_doubt(session, as_json: bool) -> bool:
    """Whether there was a doubt (runner/doubt.py), which is over now."""
    db, now = session.ports.database(), session.ports.now()
    found = doubt.stored_doubt(db)
    if found is None:
        return False
    waiting = {queue["name"]: queue["due"]
               for queue in overview.collect(session.config, db, now)["queues"]}
    doubt.accept(db, now)
    if as_json:
        answer(session, {"doubt": found.what, "changed": True, "due": waiting})
        return True
    due = ", ".join(f"{number:,} waiting in {name}" for name, number in waiting.items() if number)
    session.console.report(
        f"The doubt is over that began at {local(session, found.since, now)}: {found.what}. Jobs "
        f"send and delete again from their next run on; due now: {due or 'nothing'}. What must not "
        "go out: `jobs.py cancel QUEUE --all --before TIME`. To resume paused jobs, call this "
        "again.")
    return True


def _at_once(session, job, quiet: bool) -> dict:
    """What a paused job that has never run would do now, which is printed unless `quiet`."""
    db = session.ports.database()
    if paused_since(db, job.name) is None or db.row(
            "SELECT id FROM {job_runs} WHERE job = :job AND status <> 'skipped' LIMIT 1",
            job=job.name):
        return {}
    from jobs_lib.runner import outcome, runner
    try:
        result = runner.run(session, job, runner.Request(dry_run=True))
        words = result["error"] or outcome.counts_words(result["counts"]) or "nothing"
    except JobsError as error:
        result, words = {"counts": {}}, str(error)
    if not quiet:
        session.console.report(f"{job.name} would do now: {words}")
    if held := result.get("held"):
        guard.confirm(db, job.name, held, session.ports.now())
    return {"at_once": result["counts"]}


def _resume(session, job) -> dict:
    """Resume it; its state as an object of the JSON."""
    db, now = session.ports.database(), session.ports.now()

    def work() -> str | None:
        since = paused_since(db, job.name)
        if since is not None:
            db.upsert("job_state", {"job": job.name}, {"paused_at": None, "due_after": now})
        return since

    since, next_slot, why = db.batch(work), None, None
    try:
        options = session.config.job(job)
        zone = schedule.zone(session.config.section("core").timezone)
        next_slot = clock.text(schedule.following(options.schedule, now, zone))
        if not options.enabled:
            next_slot, why = None, f"it is disabled: [{job.name}] enabled = no"
    except ConfigError as error:            # of one job, which keeps no other paused
        why = str(error)
    return {"job": job.name, "paused_at": None, "was_paused_at": since,
            "changed": since is not None, "next": next_slot, "why_not": why}


def _words(session, job, state: dict) -> str:
    now, since = session.ports.now(), state["was_paused_at"]
    if since is None:
        words = f"{job.name} is not paused; nothing was changed."
    else:
        paused = local(session, clock.parse(since), now)
        words = f"{job.name} is resumed. It was paused since {paused}."
    if state["next"]:
        return f"{words} Next run: {local(session, clock.parse(state['next']), now)}."
    return f"{words} But {state['why_not'].rstrip('.')}."
