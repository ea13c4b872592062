"""The status page and the metrics as files, replaced as a whole: by hand, the page of [status] also
by each run of check_jobs."""
from __future__ import annotations

import os

from jobs_lib import folders, schedule
from jobs_lib.errors import OK, JobsError

from . import overview

PUBLIC = 0o644


def page(config, db, now) -> str:
    """The status page, which is safe to publish."""
    from .status_page import page as render
    found = overview.with_past(overview.collect(config, db, now), db, now)
    found["note"] = db.value("SELECT value FROM {meta} WHERE name = 'note'")
    zone = config.section("core").timezone
    return render(found, schedule.zone(zone), zone)


def metrics(config, db, now) -> str:
    """The metrics, in OpenMetrics text."""
    from .openmetrics import metrics as render
    return render(overview.with_last_day(overview.collect(config, db, now), db, now))


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
