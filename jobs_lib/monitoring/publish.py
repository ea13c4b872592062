"""The status page, and the status as OpenMetrics text
(https://prometheus.io/docs/specs/om/open_metrics_spec/), as files that are replaced as a whole: by
hand, the page of [status] also by each run of check_jobs."""
from __future__ import annotations

import os

from jobs_lib import clock, folders
from jobs_lib.errors import OK, JobsError
from jobs_lib.text.mustache import render

from . import overview, status_page
from .status_page import source

PUBLIC = 0o644
STATUSES = ("ok", "partial", "skipped", "failed", "timeout", "interrupted", "vanished")


def page(config, db, now) -> str:
    """The status page, which is safe to publish."""
    found = overview.with_past(overview.collect(config, db, now), db, now)
    found["note"] = db.value("SELECT value FROM {meta} WHERE name = 'note'")
    return status_page.page(found, config.zone())


def metrics(config, db, now) -> str:
    """The whole file. Which metrics there are is in metrics.txt; here they get their values.

    All are gauges. A counter of runs or mails would have to be kept for ever: what we know of them
    is purged with the history, and a counter that falls looks like a restart.
    """
    found = overview.collect(config, db, now)
    now, mail = _stamp(found["generated_at"]), found["mail"]
    values = {
        "version": found["version"], "now": now, "number": len(found["incidents"]),
        "incidents": [{**each, "key": _escaped(each["key"])} for each in found["incidents"]],
        "jobs": [_job(job, int(now)) for job in found["jobs"]],
        "queues": found["queues"], "windows": mail["windows"],
        "paused": int(mail["paused_until"] is not None),
        "disks": [{**disk, "disk": ", ".join(disk["holds"])} for disk in found["disks"]]}
    return render(source("metrics.txt"), values, html=False, name="metrics.txt",
                  partial=source)


def _job(job: dict, now: int) -> dict:
    """Its values; "" leaves a metric out."""
    last, late = job["last"], _stamp(job["late_since"])
    took = last and last["duration_ms"]
    return {"name": job["name"], "failures": job["failures"],
            "starts": int(job["state"] not in ("off", "paused", "misconfigured")),
            "began": _stamp(last and last["started_at"]), "well": _stamp(job["last_ok_at"]),
            "took": "" if took is None else f"{took / 1000:.3f}",
            "next": _stamp(job["next_at"]), "lateness": now - int(late) if late else 0,
            "runs": [{"status": status, "runs_last_day": job["runs_last_day"].get(status, 0)}
                     for status in STATUSES]}


def _stamp(text: str | None) -> str:
    """Seconds, or "" for no time."""
    return str(int(clock.parse(text).timestamp())) if text else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def answer(make, args, make_session, config_path) -> int:
    """The commands `report` and `metrics`: write what is made to a file, or print it."""
    session = make_session(config_path)
    text = make(session.config, session.ports.database(), session.ports.now())
    if args.output in (None, "-"):
        session.console.answer(text.rstrip("\n"))
    else:
        replace(args.output, text)
    return OK


def replace(path: str, text: str) -> None:
    """Write the file as a whole: a reader has the earlier one or this. JobsError if it cannot be
    written, or if another is there, which may be the configuration."""
    sign = text.partition("\n")[0].encode()
    try:
        if os.path.exists(path):
            # not /dev/null, nor a pipe that nobody writes to
            if not os.path.isfile(path):
                raise JobsError(f"{path} is not written: that is no file; name one")
            with open(path, "rb") as file:
                start = file.read(len(sign))
            if start not in (b"", sign):
                raise JobsError(f"{path} is not written: another file is there already; remove it, "
                                "or name another")
        folders.write(path, text, PUBLIC)
    except OSError as error:
        raise JobsError(f"{path} cannot be written: {error.strerror or error}") from None
