"""The status as one document: what `status`, `report` and `metrics` show, each in its own way.

Facts and judgement come from monitoring/facts.py and monitoring/incidents.py; here they become
plain values, times as UTC text, as `status --json` prints them. `error`, `what` and `reason` hold
text of the outside world, addresses masked; `public()` takes it out.
"""
from __future__ import annotations

import shlex
from datetime import datetime, timedelta

from jobs_lib import catalogue, clock
from jobs_lib.database import stored
from jobs_lib.database.values import INVALID
from jobs_lib.paths import VERSION, program

from . import facts, incidents, overdue, run_statistics

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
DISKS = {"[core] database": "database", "[core] state_dir": "state", "[core] log_dir": "logs",
         "[spool] dir": "raw messages", "[export] dir": "exports", "[archive] store": "archive"}
PRIVATE = {"incidents": ("what", "error"), "jobs": ("error",), "queues": ("holds",)}
OF_JOB = ("when", "last_ok_at", "failures", "failing_since", "late_since", "next_at")
OF_RUN = ("status", "started_at", "finished_at", "duration_ms")
OF_QUEUE = ("name", "job", "what", "depth", "due", "oldest_due_at", "uncertain_last_day",
            "done_last_day", "failed_last_day", "stalled_since", "holds")
MISCONFIGURED = {**dict.fromkeys(OF_JOB), "when": "", "failures": 0, "state": "misconfigured",
                 "last": None, "error": None, INVALID: 0}
NOT_DUE = {"due_since": None, "overdue": False}


def collect(config, db, now) -> dict:
    """The status now: small reads only."""
    broken: list[str] = []
    jobs = catalogue.load_all(broken)
    found = facts.collect(db, config, jobs, now, broken)
    start, invalid = program(config.path), _invalid_rows(db, found.jobs.values())
    due = _due(config, db, found, jobs)
    wrong = {name for problem in found.problems for name in problem.jobs}
    return {"generated_at": clock.text(now), "version": VERSION,
            "incidents": [_incident(each, now, start) for each in incidents.find(found)],
            "jobs": [{**_job(job, found.jobs.get(job.name), invalid, job.name in wrong),
                      **due.get(job.name, NOT_DUE)} for job in jobs],
            "queues": [{**_plain(queue, OF_QUEUE),
                        "oldest_due_seconds": queue.oldest_due_seconds(now)}
                       for queue in found.queues.values()],
            "mail": _mail(found),
            "disks": [{"holds": [DISKS.get(name, name) for name in disk.names],
                       "free": disk.free, "total": disk.total} for disk in found.disks],
            "last_run_at": _text(found.last_run_at)}


def with_past(document: dict, db, now) -> dict:
    """The same with what the charts need: 30 days of runs."""
    runs = run_statistics.by_job(db, now)

    def days(job: dict) -> dict:
        return {str(day): totals._asdict() for day, totals in runs.get(job["name"], {}).items()}

    return {**document, "jobs": [{**job, "days": days(job)} for job in document["jobs"]],
            "days": [str(day) for day in run_statistics.days(now)]}


def with_last_day(document: dict, db, now) -> dict:
    """The same with the runs of the last day: `{job: {status: number}}`."""
    numbers: dict = {}
    # to the end of this second
    for (job, status), runs in run_statistics.outcomes(db, now - DAY, now + SECOND).items():
        numbers.setdefault(job, {})[status] = runs
    return {**document, "runs": numbers}


def public(document: dict) -> dict:
    """The same without any text of the outside world: no error, no reason, no path."""
    bare = {part: [{**each, **dict.fromkeys(names)} for each in document[part]]
            for part, names in PRIVATE.items()}
    bare["incidents"] = [{**each, "command": _without_path(each["command"])}
                         for each in bare["incidents"]]
    return {**document, **bare, "mail": {**document["mail"], "reason": None}}


def _without_path(command: str | None) -> str | None:
    if not command or " --config " not in command:
        return command
    words = shlex.split(command)
    at = words.index("--config")
    return shlex.join(words[:at] + words[at + 2:])


def _plain(facts, names: tuple) -> dict:
    """Some fields of a namedtuple, with times as text."""
    return {name: _text(getattr(facts, name)) for name in names}


def _text(value):
    return clock.text(value) if isinstance(value, datetime) else value


def _incident(each, now, start: str) -> dict:
    seconds = int((now - each.since).total_seconds())
    return {"key": each.key, **_plain(each, ("kind", "subject", "since", "what")),
            "seconds": max(0, seconds), "error": each.error or None, "jobs": list(each.jobs),
            "command": f"{start} {each.command}" if each.command else None}


def _due(config, db, found, jobs) -> dict[str, dict]:
    states = overdue.states(db)
    runs = {name: job.last for name, job in found.jobs.items()}
    return overdue.waiting(db, config, jobs, states, runs, found.now, found.zone)


def _job(job, found, invalid: dict, is_wrong: bool) -> dict:
    """`found`: its JobFacts, None if its section is wrong. `invalid`: as _invalid_rows."""
    known = {"name": job.name, "summary": job.summary, "priority": job.priority}
    if found is None:
        return {**known, **MISCONFIGURED}
    last, facts = found.last, _plain(found, OF_JOB)
    if is_wrong:
        facts["next_at"] = None
    return {**known, **facts, "state": "misconfigured" if is_wrong else _state(found),
            "last": last and {name: last[name] for name in OF_RUN},
            "error": incidents.short_error(found.last_error) or None,
            INVALID: invalid.get(last["id"], 0) if last else 0}


def _invalid_rows(db, jobs) -> dict[int, int]:
    """{id of a job's last run: how many rows it could not read}."""
    ids = [job.last["id"] for job in jobs if job.last]
    return {row["id"]: stored.count(stored.document(row["counts"]), INVALID) for row in db.query(
        "SELECT id, counts FROM {job_runs} WHERE id IN (:ids)", ids=ids)} if ids else {}


def _state(job) -> str:
    """In a word: what keeps it from running, or how it is doing."""
    states = {"off": not job.enabled, "paused": job.paused_at, "running": job.running,
              "failing": job.failures, "late": job.late_since, "new": not job.last}
    return next((state for state, applies in states.items() if applies), "ok")


def _mail(found) -> dict:
    relay = found.relay or {"paused_until": None, "reason": None}
    return {"windows": [{"name": name, "sent": int(sent), "limit": limit}
                        for name, (sent, limit) in found.sent().items()],
            "paused_until": _text(stored.time(relay["paused_until"])),
            "reason": found.relay and incidents.short_error(relay["reason"])}
