"""The status as OpenMetrics text (https://prometheus.io/docs/specs/om/open_metrics_spec/), from the
document of overview.py. Which metrics there are is in metrics.txt; here they get their values.

All are gauges. A counter of runs or mails would have to be kept for ever: what we know of them is
purged with the history, and a counter that falls looks like a restart. Numbers of the last day are
enough for an alert.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.features.notifications.render import render

from .status_page import source

STATUSES = ("ok", "partial", "skipped", "failed", "timeout", "interrupted", "vanished")


def metrics(found: dict) -> str:
    """The whole file: `jobs_last_success_timestamp_seconds{job="retry_forwards"} 1795525505`, and
    so on. `found`: overview.with_last_day."""
    now, mail = _stamp(found["generated_at"]), found["mail"]
    values = {
        "version": found["version"], "now": now, "number": len(found["incidents"]),
        "incidents": [{**each, "key": _escaped(each["key"])} for each in found["incidents"]],
        "jobs": [_job(job, found["runs"].get(job["name"], {}), int(now))
                 for job in found["jobs"]],
        "queues": found["queues"], "windows": mail["windows"],
        "paused": int(mail["paused_until"] is not None),
        "disks": [{**disk, "disk": ", ".join(disk["holds"])} for disk in found["disks"]]}
    return render(source("metrics.txt"), values, html=False, name="metrics.txt",
                           partial=source)


def _job(job: dict, runs: dict, now: int) -> dict:
    """Its values; "" leaves a metric out."""
    last, late = job["last"], _stamp(job["late_since"])
    took = last and last["duration_ms"]
    return {"name": job["name"], "failures": job["failures"],
            "starts": int(job["state"] not in ("off", "paused", "misconfigured")),
            "began": _stamp(last and last["started_at"]), "well": _stamp(job["last_ok_at"]),
            "took": "" if took is None else f"{took / 1000:.3f}",
            "next": _stamp(job["next_at"]), "lateness": now - int(late) if late else 0,
            "runs": [{"status": status, "runs_last_day": runs.get(status, 0)}
                     for status in STATUSES]}


def _stamp(text: str | None) -> str:
    """Seconds, or "" for no time."""
    return str(int(clock.parse(text).timestamp())) if text else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
