"""Show every job: what it does, when, its next runs, how it last ended.

Works without a database too; then nothing is known of past runs. Times are in `[core] timezone`, in the JSON in UTC.
"""
from __future__ import annotations

from datetime import timedelta

from .. import catalogue, clock, dead_runs, due, history, schedule, schedule_words, stored
from ..arguments import at_most
from ..errors import OK, ConfigError, DatabaseError

MOST_NEXT = 100
OVERDUE = timedelta(minutes=30)      # hosts let cron tick every 15 minutes, and a tick may be at work


def arguments(parser) -> None:
    """--next and --json."""
    parser.add_argument("--next", type=at_most(MOST_NEXT), default=1, metavar="N",
                        help=f"show the next N runs (default: 1, at most {MOST_NEXT})")
    parser.add_argument("--json", action="store_true", help="print an array of objects, one a job")


def run(args, make_session, config_path) -> int:
    """Print the list. 0 also when a job's own section is wrong: that is said beside it."""
    session = make_session(config_path)
    config, now = session.config, session.ports.now()
    zone = schedule.zone(config.section("core").timezone)
    broken: list[str] = []
    jobs = catalogue.load_all(broken)
    states, runs, trouble = past(session, jobs)
    since = waiting(session, jobs, states, runs, now, zone) if states else {}
    found = [{**about(config, job, states.get(job.name), runs.get(job.name), now, zone, args.next),
              **since.get(job.name, {"due_since": None, "overdue": False})} for job in jobs]
    if args.json:
        session.console.document(found)
    else:
        import sys

        from ..render.listing import listing
        from ..render.paint import Paint
        session.console.answer(listing(found, now, zone, config.section("core").timezone, [*broken, *trouble],
                                       Paint(sys.stdout)))
    return OK


def past(session, jobs) -> tuple[dict, dict, list[str]]:
    """({job: its job_state}, {job: its last run}, why nothing is known of them)."""
    try:
        db = session.ports.database()
        states = {row["job"]: row for row in db.query("SELECT job, paused_at, due_after FROM {job_state}")}
        runs = {job.name: last_worth_telling(rows) for job in jobs
                if (rows := dead_runs.shown(history.last_runs(db, job.name, 20, _shards(session.config, job)),
                                            session.config, session.ports.now(), db))}
        return states, runs, []
    except DatabaseError as error:
        return {}, {}, [f"Nothing is known of past runs: {error}"]


def waiting(session, jobs, states: dict, runs: dict, now, zone) -> dict[str, dict]:
    """{job: {"due_since", "overdue"}} of those whose latest slot was not started: since the first that was missed."""
    found = {}
    for job in jobs:
        state, last = states.get(job.name), runs.get(job.name)
        try:
            options = session.config.job(job)
        except ConfigError:
            continue                            # told beside the job
        if state is None or state["paused_at"] or not options.enabled or state["due_after"] == due.OFF:
            continue
        slot = schedule.previous(options.schedule, now, zone)
        if due.is_early(options.schedule, slot, state["due_after"], now, zone):
            continue
        item = due.of_slot(job, slot, session.ports.database(), now, lambda *_: False)
        if item is None or item.trigger != "scheduled":
            continue
        first = due.first_missed(options.schedule, slot, last, state["due_after"], zone)
        found[job.name] = {"due_since": clock.text(first), "overdue": now - first > OVERDUE}
    return found


def _shards(config, job) -> int:
    try:
        return config.shards(job)
    except ConfigError:                     # told beside the job
        return 1


def last_worth_telling(runs: list[dict]) -> dict:
    """The last run that did not just find another one at work."""
    return next((run for run in runs if run["status"] != "skipped"), runs[0])


def about(config, job, state: dict | None, last: dict | None, now, zone, number: int) -> dict:
    """One job as an object of the JSON. Times are UTC."""
    paused = state["paused_at"] if state else None
    if paused and not stored.time(paused):
        paused = stored.UNKNOWN
    found = {"name": job.name, "summary": job.summary, "schedule": job.schedule, "when": "", "priority": job.priority,
             "enabled": job.enabled, "paused_at": paused, "next": [], "last_run": last and run_object(last),
             "problems": []}
    try:
        options = config.job(job)
    except ConfigError as error:
        return {**found, "problems": error.problems}
    times: list[str] = []
    moment = now
    while options.enabled and not paused and len(times) < number:
        moment = schedule.following(options.schedule, moment, zone)
        times.append(clock.text(moment))
    return {**found, "schedule": options.schedule.text, "when": schedule_words.words(options.schedule),
            "enabled": options.enabled, "next": times}


def run_object(row: dict) -> dict:
    """A run of the table `job_runs`, as `jobs.py JOB --json` tells it, and a little more."""
    names = ("job", "run_id", "status", "slot", "started_at", "finished_at", "duration_ms", "counts", "stop_reason",
             "error")
    more = ("trigger_type", "progress", "host", "pid")
    return {**{name: row[name] for name in names}, "dry_run": False, **{name: row[name] for name in more}}
