"""The status page and the metrics as files, replaced as a whole: by hand, or by each run of check_jobs."""
from __future__ import annotations

import os
from contextlib import suppress
from glob import escape, glob

from . import folders, schedule
from .errors import ConfigError, JobsError, Stopped

PUBLIC, PRIVATE = 0o644, 0o600
SECONDS = 20.0                   # for all files of [status]: they are made after the run, outside of its budget
LEFT_SECONDS = 3600              # a draft so much older than the file itself was left by a run that was killed


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
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise JobsError(f"{path} cannot be written: there is no folder {folder}; make it, or name another file")
    for draft in glob(f"{escape(path)}.*.part"):
        with suppress(OSError):
            if os.stat(path).st_mtime - os.stat(draft).st_mtime > LEFT_SECONDS:
                os.unlink(draft)
    try:
        folders.write(path, text, mode)
    except OSError as error:
        raise JobsError(f"{path} cannot be written: {error.strerror or error}") from None


def files(config, ports, seconds: float = SECONDS) -> list[str]:
    """Make the files that [status] names anew. What went wrong, a sentence each; nothing is raised."""
    from .stops import Stops

    problems = []
    with Stops(monotonic=ports.monotonic, budget=seconds, grace=0.0, memory=None) as stops:
        try:
            wanted = config.section("status")
            for path, make in ((wanted.page, page), (wanted.metrics, metrics)):
                if path:
                    stops.database = ports.database()
                    write(path, make(config, stops.database, ports.now()))
        except ConfigError as error:
            problems += error.problems
        except Stopped:
            stops.calm()
            if stops.database is not None:
                stops.database.invalidate()
            problems.append(f"[status] its files were not made within {seconds:g} seconds")
        except JobsError as error:
            problems.append(f"[status] {error}")
        except Exception as error:          # noqa: BLE001  the ping comes after this, and must not depend on a page
            problems.append(f"[status] {type(error).__name__}: {error}")
    return problems
