"""How everything stands, as one document: what `status`, `report` and `metrics` show, each in its
own way.

Facts and judgement come from monitoring/health.py and monitoring/incidents.py; here they become
plain values, times as UTC text, as `status --json` prints them. `error`, `what` and `reason` hold
words of the outside world, addresses masked; `public()` takes them out.
"""
from __future__ import annotations

import shlex
from datetime import timedelta

from jobs_lib import catalogue, clock
from jobs_lib.database import stored
from jobs_lib.database.schema import NAMES
from jobs_lib.database.values import INVALID, UNKNOWN_STATUS
from jobs_lib.paths import VERSION, program

from . import health, incidents, run_stats, samples

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
DISKS = {"[core] database": "database", "[core] state_dir": "state", "[core] log_dir": "logs",
         "[spool] dir": "raw messages", "[export] dir": "exports", "[archive] store": "archive"}
PRIVATE = {"troubles": ("what", "error"), "jobs": ("error",)}


def collect(config, db, now) -> dict:
    """The state now: small reads only."""
    broken: list[str] = []
    jobs = catalogue.load_all(broken)
    found = health.collect(db, config, jobs, now, broken)
    return {"generated_at": clock.text(now), "version": VERSION,
            "troubles": [_trouble(each, now, program(config.path)) for each in incidents.find(found, config)],
            "jobs": _with_invalid(db, [_job(job, found.jobs.get(job.name)) for job in jobs], found.jobs),
            "queues": [_queue(queue, now) for queue in found.queues.values()],
            "mail": _mail(found.host), "disks": [_disk(disk) for disk in found.host.disks],
            "last_run_at": _text(found.host.last_run_at)}


def with_past(document: dict, db, now) -> dict:
    """The same with what the charts need: 30 days of runs, an hour's measures, sizes of tables."""
    runs, sizes = run_stats.by_job(db, now), db.sizes()
    jobs = [{**job, "days": {str(day): numbers._asdict() for day, numbers in runs.get(job["name"],
                                                                                      {}).items()}}
            for job in document["jobs"]]
    return {**document, "jobs": jobs, "days": [str(day) for day in run_stats.days(now)],
            "series": samples.series(db, now), "tables": _tables(db, sizes),
            "database_bytes": sum(sizes.values())}


def with_last_day(document: dict, db, now) -> dict:
    """The same with the runs of the last day: `{job: {status: number}}`."""
    numbers: dict = {}
    for (job, status), runs in run_stats.outcomes(db, now - DAY, now + SECOND).items():
        # this second's, too
        numbers.setdefault(job, {})[status] = runs
    return {**document, "runs": numbers}


def public(document: dict) -> dict:
    """The same without a word of the outside world: no error, no reason, no path."""
    bare = {**document, "mail": {**document["mail"], "reason": None},
            **{part: [{**each, **dict.fromkeys(names)} for each in document[part]] for part,
               names in PRIVATE.items()}}
    return {**bare, "troubles": [{**each, "command": _without_path(each["command"])}
                                 for each in bare["troubles"]]}


def _without_path(command: str | None) -> str | None:
    if not command or " --config " not in command:
        return command
    words = shlex.split(command)
    at = words.index("--config")
    return shlex.join(words[:at] + words[at + 2:])


def _trouble(each, now, start: str) -> dict:
    return {"key": each.key, "kind": each.kind, "subject": each.subject,
            "since": clock.text(each.since), "seconds": _seconds(now - each.since),
            "what": each.what, "error": each.error or None, "command": f"{start} {each.command}"
            if each.command else None}


def _job(job, found) -> dict:
    known = {"name": job.name, "summary": job.summary, "priority": job.priority}
    if found is None:
        return {**known, "when": "", "state": "misconfigured", "last": None, "last_ok_at": None,
                "failures": 0, "failing_since": None, "late_since": None, "next_at": None,
                "error": None}
    last = found.last and {name: found.last[name] for name in ("status", "started_at",
                                                               "finished_at", "duration_ms")}
    return {**known, "when": found.when, "state": _state(found), "last": last,
            "last_ok_at": _text(found.last_ok_at), "failures": found.failures,
            "failing_since": _text(found.failing_since), "late_since": _text(found.late_since),
            "next_at": _text(found.next_at), "error": incidents.words(found.last_error) or None}


def _with_invalid(db, jobs: list[dict], found: dict) -> list[dict]:
    """Each with how many rows its last run could not read: `invalid`."""
    ids = [job.last["id"] for job in found.values() if job.last]
    counts = {row["id"]: stored.document(row["counts"]) for row in db.query(
        "SELECT id, counts FROM {job_runs} WHERE id IN (:ids)", ids=ids)} if ids else {}
    last = {name: counts.get(job.last["id"], {}) for name, job in found.items() if job.last}
    return [{**job, "invalid": sum(stored.number(last.get(job["name"], {}).get(name, 0))
                                   for name in (INVALID, UNKNOWN_STATUS))} for job in jobs]


def _state(job) -> str:
    """In a word: what keeps it from running, then how it fares."""
    if not job.enabled:
        return "off"
    if job.paused_at:
        return "paused"
    if job.running:
        return "running"
    if job.failures:
        return "failing"
    if job.late_since:
        return "late"
    return "ok" if job.last else "new"


def _queue(queue, now) -> dict:
    age = _seconds(now - queue.oldest_due_at) if queue.oldest_due_at else 0
    return {"name": queue.name, "job": queue.job, "what": queue.what, "depth": queue.depth,
            "due": queue.due, "oldest_due_at": _text(queue.oldest_due_at),
            "oldest_due_seconds": age, "uncertain_last_day": queue.uncertain_last_day,
            "done_last_day": queue.done_last_day, "failed_last_day": queue.failed_last_day,
            "stalled_since": _text(queue.stalled_since)}


def _mail(host) -> dict:
    return {"windows": [{"name": name, "sent": int(sent), "limit": limit} for name,
                        (sent, limit) in host.sent.items()], "paused_until": host.relay
            and _text(stored.time(host.relay["paused_until"])), "reason": host.relay
            and incidents.words(host.relay["reason"])}


def _disk(disk) -> dict:
    return {"holds": [DISKS.get(name, name) for name in disk.names], "free": disk.free,
            "total": disk.total}


def _tables(db, sizes: dict) -> list[dict]:
    """Our tables, the largest first. Rows are told by the first id and the last: counting them
    would read them all."""
    present, found = db.tables(), []
    for name in NAMES:
        place = db.name(name)
        if place in present and "id" in db.columns(name):
            first, last = (db.value(f"SELECT {end}(id) AS id FROM {{{name}}}")
                           for end in ("MIN", "MAX"))
            found.append({"name": name, "rows": 0 if last is None else last - first + 1,
                          "bytes": sizes.get(place)})
    return sorted(found, key=lambda table: (table["bytes"] or 0, table["rows"]), reverse=True)


def _text(moment) -> str | None:
    return clock.text(moment) if moment else None


def _seconds(length: timedelta) -> int:
    return max(0, int(length.total_seconds()))
