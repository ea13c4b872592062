"""List the jobs, one line each: when, next, last outcome.

It works without a database too; then nothing is known of past runs. In the JSON times are in UTC.
"""
from __future__ import annotations

from jobs_lib import catalogue, clock, schedule
from jobs_lib.database import stored
from jobs_lib.errors import OK, ConfigError, DatabaseError
from jobs_lib.monitoring import job_facts
from jobs_lib.runner import history

LOOKED_AT = 20  # runs of a job, of which one was not skipped, it is hoped
OF_RUN = ("job", "run_id", "status", "slot", "started_at", "finished_at", "duration_ms", "counts",
          "stop_reason", "error")
MORE = ("trigger_type", "progress", "host", "pid")


def arguments(parser) -> None:
    """Declares --json."""
    parser.add_argument("--json", action="store_true", help="print an array of objects, one a job")


def run(args, make_session, config_path) -> int:
    """Print the list. 0 also when a job's own section is wrong: the list says so."""
    session = make_session(config_path)
    notes: list[str] = []
    try:
        db = session.ports.database()
        states = job_facts.states(db)
    except DatabaseError as error:
        notes.append(f"Nothing is known of past runs: {error}")
        db, states = None, {}
    found = [_about(session, job, db, states.get(job.name)) for job in catalogue.load_all(notes)]
    if args.json:
        session.console.document(found)
    else:
        from jobs_lib.output.listing import listing
        from jobs_lib.output.screen import Screen
        session.console.answer(listing(found, notes, Screen(session)))
    return OK


def _about(session, job, db, state: dict | None) -> dict:
    """One job as an object of the JSON. `db`: None where it cannot be used."""
    config, now = session.config, session.ports.now()
    runs = history.last_runs(db, session, job.name, LOOKED_AT) if db else []
    last = next((run for run in runs if run["status"] != "skipped"), runs[0] if runs else None)
    paused = state and state["paused_at"]
    found = {**job_facts.about(job), "schedule": job.schedule, "when": "", "enabled": job.enabled,
             "paused_at": paused and (paused if stored.time(paused) else stored.UNKNOWN),
             "next": None, "last_run": last and run_object(last), "problems": [],
             **job_facts.NOT_DUE}
    try:
        options = config.job(job)
        found.update(schedule=options.schedule.text, enabled=options.enabled,
                     when=schedule.words(options.schedule))
        config.check([job], ("core", *job.sections))  # as a run does
    except ConfigError as error:
        return {**found, "problems": error.problems}
    zone = schedule.zone(config.section("core").timezone)
    if db:
        found.update(job_facts.due(db, job, options, state, runs, now, zone))
    if options.enabled and not paused:
        found["next"] = schedule.following(options.schedule, now, zone)
    return {**found, **{name: found[name] and clock.text(found[name])
                        for name in ("next", "due_since")}}


def run_object(row: dict) -> dict:
    """A run of the table `job_runs`, as `jobs.py JOB --json` prints it, and a little more."""
    return {**{name: row[name] for name in OF_RUN}, "dry_run": False,
            **{name: row[name] for name in MORE}}
