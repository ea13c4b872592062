"""The status page and the metrics as files, replaced as a whole: by hand, the page also after each
run of check_jobs."""
from __future__ import annotations

import os
from contextlib import suppress
from glob import escape, glob

from jobs_lib import folders, schedule
from jobs_lib.errors import ConfigError, JobsError, Stopped

PUBLIC = 0o644
SECONDS = 20.0      # for the page: it is made after the run, outside of its budget
SIGNS = {"page": (b"<!doctype html>", b" - background jobs</title>"),
         "metrics": (b"# TYPE jobs_build_info gauge", b"")}
SIGN_BYTES = 4096                # at the beginning of a file, which contain its signs
LEFT_SECONDS = 3600     # a draft that much older than the file itself: its run was killed


def page(config, db, now) -> str:
    """The status page, which is safe to publish."""
    from . import overview
    from .status_page import page as render

    found = overview.with_past(overview.collect(config, db, now), db, now)
    found["note"] = db.value("SELECT value FROM {meta} WHERE name = 'note'")
    zone = config.section("core").timezone
    return render(overview.public(found), schedule.zone(zone), zone)


def metrics(config, db, now) -> str:
    """The metrics, in OpenMetrics text."""
    from . import overview
    from .openmetrics import metrics as render

    return render(overview.with_last_day(overview.collect(config, db, now), db, now))


def write(path: str, text: str) -> None:
    """Replace the file: a reader sees the old one or the new one. Its folder must exist."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise JobsError(f"{path} cannot be written: there is no folder {folder}; make it, or name "
                        "another file")
    for draft in glob(f"{escape(path)}.*.part"):
        with suppress(OSError):
            if os.stat(path).st_mtime - os.stat(draft).st_mtime > LEFT_SECONDS:
                os.unlink(draft)
    try:
        folders.write(path, text, PUBLIC)
    except OSError as error:
        raise JobsError(f"{path} cannot be written: {error.strerror or error}") from None


def replace(what: str, path: str, text: str) -> None:
    """`write`. JobsError if a file is there that is neither empty nor an earlier `page`, or
    `metrics`, of ours: it may be the configuration."""
    if os.path.exists(path):
        if not os.path.isfile(path):        # /dev/null, or a pipe that nobody writes to
            raise JobsError(f"{path} is not written: that is no file; name one")
        begins, holds = SIGNS[what]
        try:
            with open(path, "rb") as file:
                head = file.read(SIGN_BYTES)
        except OSError as error:
            raise JobsError(f"{path} is not written: it cannot be read ({error.strerror}); name "
                            "another file") from None
        if head and not (head.startswith(begins) and holds in head):
            ours = "status page" if what == "page" else "file of metrics"
            raise JobsError(f"{path} is not written: there is such a file already, and it is no "
                            f"{ours} of ours; remove it, or name another")
    write(path, text)


def page_of_status(config, ports, seconds: float = SECONDS) -> list[str]:
    """Replace the page that [status] names. What went wrong, a sentence each; nothing is raised."""
    from jobs_lib.runner.limits import RunLimits

    def work() -> None:
        limits.database = ports.database()
        replace("page", config.section("status").page,
                page(config, limits.database, ports.now()))

    with RunLimits(monotonic=ports.monotonic, budget=seconds, grace=0.0) as limits:
        error = limits.run(work)
        if error is not None and limits.struck:
            error = Stopped(limits.struck)
        if isinstance(error, Stopped) and limits.database is not None:
            limits.database.invalidate()
    if error is None:
        return []
    if isinstance(error, ConfigError):
        return error.problems
    if isinstance(error, Stopped):
        return [f"[status] the page was not made within {seconds:g} seconds"]
    if isinstance(error, JobsError):
        return [f"[status] {error}"]
    if isinstance(error, Exception):
        # the ping comes after this, and must not depend on a page
        from jobs_lib.config.secrets import secrets
        from jobs_lib.runner import defects
        return [f"[status] {defects.sentence(error, secrets(config))}"]
    raise error
