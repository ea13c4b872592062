"""What keeps the jobs from running, as it lasts from one tick to the next: recorded without a
database, by files in `[core] state_dir`.

`incident-NAME`: since when it lasts, and the last error; beside it `.said`: when it was printed for
cron; `.told`: when it was alerted. The times of the files are all that counts, so empty ones do: a
full disk has room for them (docs/dev/decisions.md). Where the folder takes none, nothing is
recorded, and nothing else fails.
"""
from __future__ import annotations

import os
from datetime import datetime, timedelta

from jobs_lib import clock, folders

DATABASE, FILES = NAMES = ("database", "files")
PRINTED, ALERTED = ".said", ".told"  # suffixes of the files
ERROR_BYTES = 1000  # of the error that is kept


def path_of(core, name: str) -> str:
    """The file of this incident."""
    return os.path.join(core.state_dir, f"incident-{name}")


def lasting_incidents(core) -> list[str]:
    """Their names: all that an idle tick asks."""
    return [name for name in NAMES if os.path.lexists(path_of(core, name))]


def recorded(core) -> dict[str, tuple[datetime, str]]:
    """{name: since when it lasts, its last error}."""
    found = {}
    for name in lasting_incidents(core):
        since = time_of(path_of(core, name))
        try:
            with open(path_of(core, name), encoding="utf-8", errors="replace") as file:
                text = file.read(ERROR_BYTES)
        except OSError:
            text = ""
        if since:
            found[name] = since, text
    return found


def time_of(path: str) -> datetime | None:
    """The time that the file has, if it is there."""
    try:
        return datetime.fromtimestamp(int(os.lstat(path).st_mtime), clock.UTC)
    except (OSError, OverflowError, ValueError):
        return None


def is_due(path: str, now: datetime, again: timedelta | None) -> bool:
    """Whether to do what the file records, for the first time or after `again`."""
    last = time_of(path)
    return last is None or last > now or (again is not None and now - last >= again)


def write(path: str, moment: datetime, text: str = "") -> None:
    """Give the file this time, and the text if there is room."""
    try:
        # a worker may be the first process on its host
        folders.private(os.path.dirname(path))
        handle = folders.open_own(path, os.O_WRONLY | os.O_CREAT)
    except OSError:
        return
    try:
        if data := text.encode("utf-8", "replace")[:ERROR_BYTES]:
            os.ftruncate(handle, os.write(handle, data))
    except OSError:
        pass
    os.utime(handle, (moment.timestamp(), moment.timestamp()))
    os.close(handle)


def remove(path: str) -> None:
    """The incident is over."""
    for each in (path + PRINTED, path + ALERTED, path):
        try:  # noqa: SIM105  contextlib is not loaded otherwise
            os.unlink(each)
        except OSError:
            pass
