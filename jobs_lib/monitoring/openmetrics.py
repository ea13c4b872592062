"""The status as OpenMetrics text (https://prometheus.io/docs/specs/om/open_metrics_spec/).

All are gauges. A counter of runs or mails would have to be kept for ever: what we know of them is
purged with the history, and a counter that falls looks like a restart. Numbers of the last day are
enough for an alert.
"""
from __future__ import annotations

from jobs_lib import clock

STATUSES = ("ok", "partial", "skipped", "failed", "timeout", "interrupted", "vanished")
# (name, unit, help, value), of each job; the value takes the job and the time of the document
OF_JOBS = (
    ("job_enabled", "",
     "Whether cron starts it: 0 when it is switched off, paused or its configuration is wrong.",
     lambda job, now: int(job["state"] not in ("off", "paused", "misconfigured"))),
    ("last_run_timestamp", "seconds", "When the last run began.",
     lambda job, now: job["last"] and _stamp(job["last"]["started_at"])),
    ("last_success_timestamp", "seconds", "When the last run that did its work began.",
     lambda job, now: _stamp(job["last_ok_at"])),
    ("last_run_duration", "seconds", "How long the last run took.",
     lambda job, now: job["last"] and _seconds(job["last"]["duration_ms"])),
    ("next_run_timestamp", "seconds", "When it is due next.",
     lambda job, now: _stamp(job["next_at"])),
    ("lateness", "seconds", "Since its first slot that was missed; 0 when it is not late.",
     lambda job, now: now - (_stamp(job["late_since"]) or now)),
    ("failures_in_a_row", "", "Failed runs since the last success.",
     lambda job, now: job["failures"]),
)
# (name, unit, help, key), of each queue
OF_QUEUES = (
    ("queue_depth", "", "What is not finished.", "depth"),
    ("queue_due", "", "What is due now.", "due"),
    ("queue_oldest_due_age", "seconds", "Since the oldest is due; 0 when nothing is.",
     "oldest_due_seconds"),
    ("queue_done_last_day", "", "Finished well by the runs of the last 24 hours.",
     "done_last_day"),
    ("queue_failed_last_day", "", "Given up by the runs of the last 24 hours.",
     "failed_last_day"),
    ("queue_uncertain_last_day", "", "Lost in flight in the last 24 hours, and tried again.",
     "uncertain_last_day"),
)


def metrics(found: dict) -> str:
    """The whole file: `jobs_last_success_timestamp_seconds{job="retry_forwards"} 1795525505`, and
    so on."""
    families = [*_general(found), *_jobs(found), *_queues(found), *_mail(found["mail"]),
                *_disks(found["disks"])]
    return "\n".join([*(line for family in families for line in _family(*family)), "# EOF", ""])


def _family(name: str, unit: str, about: str, samples: list) -> list[str]:
    """Its lines. A sample is (labels, value); one whose value is None is left out."""
    full = f"jobs_{name}_{unit}" if unit else f"jobs_{name}"
    heads = [f"# TYPE {full} gauge", f"# UNIT {full} {unit}", f"# HELP {full} {about}"]
    if not unit:
        del heads[1]
    return heads + [f"{full}{_labels(labels)} {_number(value)}" for labels, value in samples
                    if value is not None]


def _general(found: dict) -> list[tuple]:
    incidents = found["incidents"]
    return [
        ("build_info", "", "The version of the bundle.", [({"version": found["version"]}, 1)]),
        ("generated_timestamp", "seconds",
         "When this file was made: an old one means that cron has stopped.",
         [({}, _stamp(found["generated_at"]))]),
        ("incidents", "", "What needs the operator now.", [({}, len(incidents))]),
        ("incident_age", "seconds", "How long each of them lasts.",
         [({"key": each["key"], "kind": each["kind"]}, each["seconds"]) for each in incidents]),
    ]


def _jobs(found: dict) -> list[tuple]:
    now, jobs, runs = _stamp(found["generated_at"]), found["jobs"], found["runs"]
    families = [(name, unit, about, [({"job": job["name"]}, value(job, now)) for job in jobs])
                for name, unit, about, value in OF_JOBS]
    ended = [({"job": job["name"], "status": status}, runs.get(job["name"], {}).get(status, 0))
             for job in jobs for status in STATUSES]
    return [*families, ("runs_last_day", "",
                        "Runs that began in the last 24 hours, by how they ended.", ended)]


def _queues(found: dict) -> list[tuple]:
    return [(name, unit, about, [({"queue": queue["name"]}, queue[key])
                                 for queue in found["queues"]])
            for name, unit, about, key in OF_QUEUES]


def _mail(mail: dict) -> list[tuple]:
    windows = [({"window": window["name"]}, window) for window in mail["windows"]]
    return [
        ("mail_recipients", "",
         "Recipients in the running minute, hour and day, as far as limits are set.",
         [(labels, window["sent"]) for labels, window in windows]),
        ("mail_limit_recipients", "", "The limits in [mail].",
         [(labels, window["limit"]) for labels, window in windows]),
        ("relay_paused", "",
         "1 while no mail is sent, because the relay does not work or its limit is reached.",
         [({}, int(mail["paused_until"] is not None))]),
    ]


def _disks(disks: list) -> list[tuple]:
    labelled = [({"holds": ", ".join(disk["holds"])}, disk) for disk in disks]
    return [
        ("disk_free", "bytes", "Free space where the jobs write.",
         [(labels, disk["free"]) for labels, disk in labelled]),
        ("disk_size", "bytes", "Size of the same.",
         [(labels, disk["total"]) for labels, disk in labelled]),
    ]


def _labels(labels: dict) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def _stamp(text: str | None) -> float | None:
    return clock.parse(text).timestamp() if text else None


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
