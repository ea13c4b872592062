"""One job alone: its part of monitoring/overview.py, its last runs, and what it waits for."""
from __future__ import annotations

from jobs_lib import schedule, shards
from jobs_lib.runner import dead_runs, history, slots

from . import overview

RUNS = 5


def collect(config, db, now, job, at=lambda text: f"{text} UTC", runs: int = RUNS) -> dict:
    """`job`, `waits_for`, `incidents`, `queue` (None if it has none) and `runs`, rows of
    `job_runs`. `at(text)`: how `waits_for` shows a time."""
    whole = overview.collect(config, db, now)
    about = next(each for each in whole["jobs"] if each["name"] == job.name)
    found = [each for each in whole["incidents"]
             if not each["jobs"] or job.name in each["jobs"]]
    queue = next((each for each in whole["queues"] if each["job"] == job.name), None)
    count = config.section("worker").shards
    rows = dead_runs.shown(history.last_runs(db, job.name, runs, count), config, now, db)
    return {"generated_at": whole["generated_at"], "job": about,
            "waits_for": _waits_for(config, db, now, job, about, whole, found, rows, at),
            "incidents": found, "queue": queue, "runs": rows}


def _waits_for(config, db, now, job, about, whole, found, rows, at) -> str:
    """What has to happen before it runs, or before a run of it gets on; the first that applies."""
    by_kind = {each["kind"]: each for each in found}
    for kind in ("config", "tables"):
        if kind in by_kind:
            return f"you: {by_kind[kind]['subject']}"
    if about["state"] == "off":
        return f"you: it is switched off, by [{job.name}] enabled = no"
    if about["state"] == "paused":
        return f"you: it is paused, until `jobs.py resume {job.name}`"
    if about["state"] == "running":
        return f"nothing: it is at work since {at(rows[0]['started_at'])}"
    if whole["mail"]["paused_until"] and "mail" in job.sections and about["name"] in (
            queue["job"] for queue in whole["queues"]):
        return f"the relay: sending is paused until {at(whole['mail']['paused_until'])}"
    if about["due_since"]:
        asked = " (is cron running?)" if about["overdue"] else ""
        return (f"cron: it is due since {at(about['due_since'])}, and the next run-due starts "
                f"it{asked}")
    return _continues(config, db, now, job, rows) or f"its next time, {at(about['next_at'])}"


def _continues(config, db, now, job, rows) -> str:
    """Whether the next tick carries on its last run, or tries again; else ""."""
    options = config.job(job)
    slot = schedule.previous(options.schedule, now, schedule.zone(config.section("core").timezone))
    for part in shards.parts(job, config.shards(job)):
        due = slots.state_of(part, slot, db, now)
        if due and due.trigger == "continue" and rows:
            last = next((row for row in rows if row["status"] != "skipped"), rows[0])
            if last["status"] == "failed":
                return "cron: its last run failed, and the next run-due tries again"
            why = last["error"] or last["stop_reason"]
            reason = f" ({why})" if why else ""
            return f"cron: its last run ended early{reason}, and the next run-due carries it on"
    return ""
