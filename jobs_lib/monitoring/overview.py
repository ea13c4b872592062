"""The status as one document, of plain values, times as UTC text: what `status`, `report` and
`metrics` show, each in its own way. `error`, `what`, `holds` and `reason` hold text of the outside
world, addresses masked.
"""
from __future__ import annotations

from datetime import datetime, timedelta

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.engines import relay
from jobs_lib.errors import ConfigError
from jobs_lib.features.items import QUEUES
from jobs_lib.folders import VERSION, program

from . import facts, rules
from .incidents import short_error

DAYS, DAY, SECOND = 30, timedelta(days=1), timedelta(seconds=1)
ENDS = {"ok": "ok",
        # the next run continues; not an incident by itself
        "partial": "early", "interrupted": "early",
        "failed": "bad", "timeout": "bad", "vanished": "bad"}


def collect(config, db, now) -> dict:
    """The status now: small reads only."""
    found = facts.collect(config, db, now)
    start, incidents = program(config.path), rules.find(found)
    return _plain({
        "verdict": _verdict(found, len(incidents)),
        "generated_at": now, "version": VERSION, "program": start,
        "incidents": [_incident(each, now, start) for each in incidents],
        "jobs": [*found.jobs.values()], "queues": found.queues,
        "mail": _mail(config, db, found), "disks": found.disks,
        "last_run_at": found.last_run_at})


def _verdict(found, number: int) -> str:
    """How it all is, in a headline."""
    states = {job["state"] for job in found.jobs.values()}
    if number:
        return "1 thing needs you" if number == 1 else f"{number} things need you"
    if "paused" in states and states <= {"paused", "off"}:
        return "Every job is paused"
    return "All is well" if found.last_run_at else "No job has run yet"


def _plain(value):
    """The same with times as text."""
    if isinstance(value, datetime):
        return clock.text(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _incident(each, now, start: str) -> dict:
    seconds = int((now - each.since).total_seconds())
    return {"key": each.key, "kind": each.kind, "subject": each.subject, "since": each.since,
            "seconds": max(0, seconds), "what": each.what, "error": each.error,
            "jobs": each.jobs, "command": f"{start} {each.command}"}


def _mail(config, db, found) -> dict:
    """What was sent against the limits, and whether sending is paused."""
    try:
        sent = relay.used(db, config.section("mail"), found.now)
    except ConfigError:  # an incident
        sent = {}
    pause = found.relay or {"paused_until": None, "reason": None}
    return {"windows": [{"name": name, "sent": int(number), "limit": limit}
                        for name, (number, limit) in sent.items()],
            "paused_until": stored.time(pause["paused_until"]),
            "reason": short_error(pause["reason"])}


# What is past

def with_last_day(document: dict, db, now) -> dict:
    """The same with the runs of the last day: `{job: {status: number}}`."""
    numbers: dict = {}
    # to the end of this second
    for row in _totals(db, now - DAY, now + SECOND, "job, status"):
        numbers.setdefault(row["job"], {})[row["status"]] = int(row["runs"])
    return {**document, "runs": numbers}


def with_past(document: dict, db, now) -> dict:
    """The same with 30 days of each job and queue, the oldest first.

    days  the `number` of runs, how many of them ended `early` or `bad`, and how many milliseconds
          all of them took; of a queue: the `number` of items, and how many of them failed: `bad`
    """
    names = [str(now.date() - DAY * back) for back in reversed(range(DAYS))]
    jobs: dict = {job["name"]: {} for job in document["jobs"]}
    queued: dict = {queue["name"]: {} for queue in document["queues"]}
    kinds = {QUEUES[name].queue.job: QUEUES[name] for name in queued}
    for name in names:
        start = clock.parse(f"{name} 00:00:00")
        # a short statement a day, served by the index of the time; most runs have the same counts
        for row in _totals(db, start, start + DAY, "job, status, counts"):
            job, runs, end = row["job"], int(row["runs"]), ENDS.get(row["status"])
            if job in jobs and end:
                _add(jobs[job], name, runs, end, stored.milliseconds(row["total"]))
            if job in kinds:
                found = facts.results(stored.counts(row["counts"]), kinds[job])
                for part, end in (("done", "ok"), ("failed", "bad")):
                    if number := found[part] * runs:
                        _add(queued[kinds[job].queue.name], name, number, end)
    return {**document, "days": names,
            "jobs": [{**job, "days": jobs[job["name"]]} for job in document["jobs"]],
            "queues": [{**queue, "days": queued[queue["name"]]} for queue in document["queues"]]}


def _totals(db, since, until, by: str) -> list[dict]:
    return db.query(f"SELECT {by}, COUNT(*) AS runs, SUM(duration_ms) AS total FROM {{job_runs}} "
                    f"WHERE started_at >= :since AND started_at < :until GROUP BY {by}",
                    since=since, until=until)


def _add(days: dict, name: str, number: int, end: str, took_ms: int = 0) -> None:
    day = days.setdefault(name, {"number": 0, "ok": 0, "early": 0, "bad": 0, "took_ms": 0})
    for part, more in (("number", number), (end, number), ("took_ms", took_ms)):
        day[part] += more
