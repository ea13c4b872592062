"""Which jobs are due and have not been started: each job's last run, and since when it is due."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock, schedule
from jobs_lib.database.schema import version
from jobs_lib.errors import ConfigError, DatabaseError
from jobs_lib.runner import dead_runs, history, slots

# hosts let cron tick every 15 minutes, and a tick may be at work
OVERDUE = timedelta(minutes=30)


def states(db) -> dict[str, dict]:
    """{job: paused_at, due_after, last_options}, as `job_state` has it."""
    version.check(db)
    return {row["job"]: row for row in db.query("SELECT job, paused_at, due_after, "
                                                "last_options FROM {job_state}")}


def past(session, jobs) -> tuple[dict, dict, list[str]]:
    """({job: its job_state}, {job: its last run}, why nothing is known of them: sentences)."""
    try:
        db = session.ports.database()
        known = states(db)
        runs = {job.name: last_that_ran(rows) for job in jobs
                if (rows := dead_runs.shown(history.last_runs(db, job.name, 20), session.config,
                                            session.ports.now(), db))}
        return known, runs, []
    except DatabaseError as error:
        return {}, {}, [f"Nothing is known of past runs: {error}"]


def waiting(db, config, jobs, known: dict, runs: dict, now, zone) -> dict[str, dict]:
    """{job: {"due_since", "overdue"}} of those whose latest slot was not started: since the first
    that was missed. `known`: their states."""
    wanted = {}
    for job in jobs:
        state = known.get(job.name)
        try:
            options = config.job(job)
        except ConfigError:
            continue                            # shown beside the job
        if state is None or state["paused_at"] or state["due_after"] == slots.OFF:
            continue
        if not options.enabled:
            continue
        slot = schedule.previous(options.schedule, now, zone)
        if not slots.is_early(options.schedule, slot, state["due_after"], now, zone):
            wanted[job.name] = options.schedule, job, slot
    started = slots.first_runs(db, [(job, slot) for _, job, slot in wanted.values()])
    found = {}
    for name, (when, _, slot) in wanted.items():
        if name in started:
            continue
        last = runs.get(name)
        ran = last if last and last["status"] != "skipped" else None
        first = slots.first_missed(when, slot, ran, known[name]["due_after"], zone)
        found[name] = {"due_since": clock.text(first), "overdue": now - first > OVERDUE}
    return found


def last_that_ran(runs: list[dict]) -> dict:
    """The last run that was not skipped; the last one if all were."""
    return next((run for run in runs if run["status"] != "skipped"), runs[0])
