"""OpenMetrics text (https://prometheus.io/docs/specs/om/open_metrics_spec/) of how everything
stands.

All are gauges. A counter of runs or mails would have to be kept for ever: what we know of them is
purged with the history, and a counter that falls looks like a restart. Numbers of the last day say
what an alert needs.
"""
from __future__ import annotations

from jobs_lib import clock

STATUSES = ("ok", "partial", "skipped", "failed", "timeout", "interrupted", "vanished")


def metrics(found: dict) -> str:
    """The whole file: `jobs_last_success_timestamp_seconds{job="retry_forwards"} 1795525505`, and
    so on."""
    lines: list[str] = []

    def gauge(name: str, about: str, samples, unit: str = "") -> None:
        """A family; a sample is (labels, value), and one whose value is None is left out."""
        full = f"jobs_{name}_{unit}" if unit else f"jobs_{name}"
        lines.append(f"# TYPE {full} gauge")
        if unit:
            lines.append(f"# UNIT {full} {unit}")
        lines.append(f"# HELP {full} {about}")
        lines.extend(f"{full}{_labels(labels)} {_number(value)}" for labels, value in samples
                     if value is not None)

    now, jobs, queues = clock.parse(found["generated_at"]), found["jobs"], found["queues"]

    def of_jobs(take) -> list:
        return [({"job": job["name"]}, take(job)) for job in jobs]

    def of_queues(take) -> list:
        return [({"queue": queue["name"]}, take(queue)) for queue in queues]

    def last(job: dict, name: str):
        return job["last"] and job["last"][name]

    gauge("build_info", "The version of the bundle.", [({"version": found["version"]}, 1)])
    gauge("generated_timestamp", "When this file was made: an old one means that cron has stopped.",
          [({}, now.timestamp())], "seconds")
    gauge("troubles", "What needs the operator now.", [({}, len(found["troubles"]))])
    gauge("trouble_age", "How long each of them lasts.",
          [({"key": each["key"], "kind": each["kind"]}, each["seconds"])
           for each in found["troubles"]], "seconds")
    gauge("job_enabled", "Whether cron starts it: 0 when it is switched off, paused or its "
          "configuration is wrong.",
          of_jobs(lambda job: int(job["state"] not in ("off", "paused", "misconfigured"))))
    gauge("last_run_timestamp", "When the last run began.",
          of_jobs(lambda job: _stamp(last(job, "started_at"))), "seconds")
    gauge("last_success_timestamp", "When the last run that did its work began.",
          of_jobs(lambda job: _stamp(job["last_ok_at"])), "seconds")
    gauge("last_run_duration", "How long the last run took.",
          of_jobs(lambda job: None if last(job, "duration_ms") is None else last(job, "duration_ms")
                  / 1000), "seconds")
    gauge("next_run_timestamp", "When it is due next.", of_jobs(lambda job: _stamp(job["next_at"])),
          "seconds")
    gauge("lateness", "Since its first slot that was missed; 0 when it is not late.",
          of_jobs(lambda job: now.timestamp() - (_stamp(job["late_since"]) or now.timestamp())),
          "seconds")
    gauge("failures_in_a_row", "Failed runs since the last success.",
          of_jobs(lambda job: job["failures"]))
    gauge("runs_last_day", "Runs that began in the last 24 hours, by how they ended.",
          [({"job": job["name"], "status": status}, found["runs"].get(job["name"], {}).get(status,
                                                                                           0))
           for job in jobs for status in STATUSES])
    gauge("queue_depth", "What is not finished.", of_queues(lambda queue: queue["depth"]))
    gauge("queue_due", "What is due now.", of_queues(lambda queue: queue["due"]))
    gauge("queue_oldest_due_age", "Since the oldest is due; 0 when nothing is.",
          of_queues(lambda queue: queue["oldest_due_seconds"]), "seconds")
    gauge("queue_done_last_day", "Finished well by the runs of the last 24 hours.",
          of_queues(lambda queue: queue["done_last_day"]))
    gauge("queue_failed_last_day", "Given up by the runs of the last 24 hours.",
          of_queues(lambda queue: queue["failed_last_day"]))
    gauge("queue_uncertain_last_day", "Lost in flight in the last 24 hours, and tried once more.",
          of_queues(lambda queue: queue["uncertain_last_day"]))
    gauge("mail_recipients",
          "Recipients in the running minute, hour and day, as far as limits are set.",
          [({"window": window["name"]}, window["sent"]) for window in found["mail"]["windows"]])
    gauge("mail_limit_recipients", "The limits in [mail].",
          [({"window": window["name"]}, window["limit"]) for window in found["mail"]["windows"]])
    gauge("relay_paused",
          "1 while no mail is sent, since the relay is in trouble or its limit is reached.",
          [({}, int(found["mail"]["paused_until"] is not None))])
    disks = [({"holds": ", ".join(disk["holds"])}, disk) for disk in found["disks"]]
    gauge("disk_free", "Free space where the jobs write.", [(labels, disk["free"]) for labels,
                                                            disk in disks], "bytes")
    gauge("disk_size", "Size of the same.", [(labels, disk["total"]) for labels, disk in disks],
          "bytes")
    return "\n".join([*lines, "# EOF", ""])


def _labels(labels: dict) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name,
                          value in labels.items()) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"


def _stamp(text: str | None) -> float | None:
    return clock.parse(text).timestamp() if text else None
