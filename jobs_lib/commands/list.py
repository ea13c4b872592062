"""List the jobs, one line each: when, next, last outcome.

It works without a database too; then nothing is known of past runs. In the JSON times are in UTC.
"""
from __future__ import annotations

from jobs_lib import catalogue, clock, schedule
from jobs_lib.database import stored
from jobs_lib.errors import OK, ConfigError
from jobs_lib.monitoring.overdue import past, waiting


def arguments(parser) -> None:
    """Declares --json."""
    parser.add_argument("--json", action="store_true", help="print an array of objects, one a job")


def run(args, make_session, config_path) -> int:
    """Print the list. 0 also when a job's own section is wrong: the list says so."""
    session = make_session(config_path)
    config, now = session.config, session.ports.now()
    zone = schedule.zone(config.section("core").timezone)
    broken: list[str] = []
    jobs = catalogue.load_all(broken)
    states, runs, unknown = past(session, jobs)
    since = {}
    if states:
        since = waiting(session.ports.database(), config, jobs, states, runs, now, zone)
    found = [{**about(config, job, states.get(job.name), runs.get(job.name), now, zone),
              **since.get(job.name, {"due_since": None, "overdue": False})} for job in jobs]
    if args.json:
        session.console.document(found)
    else:
        from jobs_lib.output.listing import listing
        from jobs_lib.output.screen import Screen
        session.console.answer(listing(found, [*broken, *unknown], Screen(session)))
    return OK


def about(config, job, state: dict | None, last: dict | None, now, zone) -> dict:
    """One job as an object of the JSON. Times are UTC."""
    paused = state["paused_at"] if state else None
    if paused and not stored.time(paused):
        paused = stored.UNKNOWN
    found = {"name": job.name, "summary": job.summary, "schedule": job.schedule, "when": "",
             "priority": job.priority, "enabled": job.enabled, "paused_at": paused,
             "next": None,
             "last_run": last and run_object(last), "problems": []}
    try:
        options = config.job(job)
    except ConfigError as error:
        return {**found, "problems": error.problems}
    found = {**found, "schedule": options.schedule.text, "enabled": options.enabled,
             "when": schedule.words(options.schedule)}
    try:
        config.check([job], ("core", *job.sections))            # as a run does
    except ConfigError as error:
        return {**found, "problems": error.problems}
    if not options.enabled or paused:
        return found
    return {**found, "next": clock.text(schedule.following(options.schedule, now, zone))}


def run_object(row: dict) -> dict:
    """A run of the table `job_runs`, as `jobs.py JOB --json` prints it, and a little more."""
    names = ("job", "run_id", "status", "slot", "started_at", "finished_at", "duration_ms",
             "counts", "stop_reason", "error")
    more = ("trigger_type", "progress", "host", "pid")
    return {**{name: row[name] for name in names}, "dry_run": False,
            **{name: row[name] for name in more}}
