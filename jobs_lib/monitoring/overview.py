"""The status as one document, of plain values, times as UTC text: what `status`, `list`, `report`
and `metrics` show, each in its own way. `error`, `what`, `holds` and `reason` hold text of the
outside world, addresses masked.
"""
from __future__ import annotations

from datetime import datetime, timedelta

from jobs_lib import clock
from jobs_lib.database import stored
from jobs_lib.engines import relay
from jobs_lib.features.items import QUEUES
from jobs_lib.folders import VERSION, program

from . import facts, rules
from .incidents import short_error

DAYS, DAY = 30, timedelta(days=1)
ENDS = {"ok": "ok",
        # the next run continues; not an incident by itself
        "partial": "early", "interrupted": "early",
        "failed": "bad", "timeout": "bad", "vanished": "bad"}


def collect(config, db, now) -> dict:
    """The status now: small reads only."""
    known = facts.Facts(config, db, now)
    found = rules.find(known)
    start = program(config.path)
    return _plain({
        "verdict": _verdict(known, len(found)),
        "generated_at": now, "version": VERSION, "program": start,
        "incidents": [{
            "key": each.key, "kind": each.kind, "subject": each.subject, "since": each.since,
            "seconds": max(0, int((now - each.since).total_seconds())), "what": each.what,
            "error": each.error, "jobs": each.jobs, "command": f"{start} {each.command}"}
            for each in found],
        "jobs": [*known.jobs.values()], "queues": known.queues, "mail": _mail(known),
        "disks": facts.disks(config), "last_run_at": known.cron.last_run})


def _verdict(known, number: int) -> str:
    """How it all is, in a headline."""
    states = {job["state"] for job in known.jobs.values()}
    if number:
        return "1 thing needs you" if number == 1 else f"{number} things need you"
    if "paused" in states and states <= {"paused", "off"}:
        return "Every job is paused"
    if known.relay:
        return f"Mail is paused until {known.at(known.relay['until'])}; nothing needs you yet"
    return "Nothing needs you" if known.cron.last_run else "No job has run yet"


def _plain(value):
    """The same with times as text."""
    if isinstance(value, datetime):
        return clock.text(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _mail(known) -> dict:
    """What was sent against the limits, and whether sending is paused."""
    sent = relay.used(known.db, known.config.section_or_defaults("mail"), known.now)
    pause = known.relay or {"until": None, "reason": None}
    return {"windows": [{"name": name, "sent": int(number), "limit": limit}
                        for name, (number, limit) in sent.items()],
            "paused_until": pause["until"],
            "reason": short_error(pause["reason"])}


def with_past(document: dict, db, now) -> dict:
    """The same with 30 days of each job and queue, the oldest first.

    days  the `number` of runs, how many of them ended `early` or `bad`, and how many milliseconds
          all of them took; of a queue: the `number` of items, and how many of them failed: `bad`
    """
    names = [str(now.date() - DAY * back) for back in reversed(range(DAYS))]
    jobs: dict = {job["name"]: {} for job in document["jobs"]}
    queued: dict = {queue["job"]: {} for queue in document["queues"]}
    kinds = {queue["job"]: QUEUES[queue["name"]] for queue in document["queues"]}
    for name in names:
        start = clock.parse(f"{name} 00:00:00")
        for row in facts.totals(db, start, start + DAY):
            job, runs, end = row["job"], int(row["runs"]), ENDS.get(row["status"])
            if job in jobs and end:
                _add(jobs[job], name, runs, end, stored.milliseconds(row["took"]))
            if job in kinds:
                found = facts.results(row, kinds[job])
                for part, end in (("done", "ok"), ("failed", "bad")):
                    if found[part]:
                        _add(queued[job], name, found[part] * runs, end)
    return {**document, "days": names,
            "jobs": [{**job, "days": jobs[job["name"]]} for job in document["jobs"]],
            "queues": [{**queue, "days": queued[queue["job"]]} for queue in document["queues"]]}


def _add(days: dict, name: str, number: int, end: str, took_ms: int = 0) -> None:
    day = days.setdefault(name, {"number": 0, "ok": 0, "early": 0, "bad": 0, "took_ms": 0})
    for part, more in (("number", number), (end, number), ("took_ms", took_ms)):
        day[part] += more
