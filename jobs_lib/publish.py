"""The status page and the metrics as files, replaced as a whole: by hand, or by each run of check_jobs."""
from __future__ import annotations

from . import folders, schedule
from .errors import ConfigError, JobsError

PUBLIC, PRIVATE = 0o644, 0o600


def page(config, db, now, private: bool = False) -> str:
    """The status page. Without `private` it is fit to be published."""
    from . import overview
    from .render.report import page as render

    found = overview.with_past(overview.collect(config, db, now), db, now)
    zone = config.section("core").timezone
    return render(found if private else overview.public(found), schedule.zone(zone), zone, private)


def metrics(config, db, now) -> str:
    """The metrics, in OpenMetrics text."""
    from . import overview
    from .render.metrics import metrics as render

    return render(overview.with_last_day(overview.collect(config, db, now), db, now))


def write(path: str, text: str, mode: int = PUBLIC) -> None:
    """Replace the file: who reads it sees the old one or the new one. Its folder has to be there."""
    try:
        folders.write(path, text, mode)
    except OSError as error:
        raise JobsError(f"{path} cannot be written: {error.strerror or error}") from None


def files(config, ports) -> list[str]:
    """Make the files that [status] names anew. What went wrong, a sentence each."""
    problems = []
    try:
        wanted = config.section("status")
        for path, make in ((wanted.page, page), (wanted.metrics, metrics)):
            if path:
                write(path, make(config, ports.database(), ports.now()))
    except ConfigError as error:
        problems += error.problems
    except JobsError as error:
        problems.append(f"[status] {error}")
    return problems
