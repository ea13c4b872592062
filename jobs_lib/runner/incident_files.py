"""Incidents that last from one tick to the next, recorded without a database: by files whose times
say since when.

    file = IncidentFile(core, DATABASE)
    file.record_error(now, "no answer")     -> since when the incident lasts
    file.is_due(PRINTED, now, remind)       -> whether to print it now, for cron's mail
    file.mark(PRINTED, now)                 once it is printed

`incident-NAME` in `[core] state_dir`: its time is the incident's beginning, its text the last
error. Beside it `.said`: when it was printed for cron; `.told`: when it was alerted. The times are
all that counts, so empty files do: a full disk has room for them (docs/decisions.md). Where the
folder takes none, nothing is recorded, and nothing else fails.
"""
from __future__ import annotations

import os
from datetime import datetime, timedelta

from jobs_lib import clock, folders

PREFIX = "incident-"
BEGAN, PRINTED, ALERTED = "", ".said", ".told"  # suffixes of the files
ERROR_BYTES = 1000  # of the error that is kept
DATABASE, FILES, WORKERS, LOG, LOCKS = "database", "files", "workers", "log", "locks"
CONFIGURATION = "configuration"             # of single jobs: a section, or the job's file
STOP_ALL_JOBS = (DATABASE, FILES)           # while these last no run may be begun


def lasting_incidents(core) -> list[str]:
    """Their names: all that an idle tick asks."""
    try:
        names = os.listdir(core.state_dir)
    except OSError:
        return []
    return [name[len(PREFIX):] for name in names if name.startswith(PREFIX) and "." not in name]


class IncidentFile:
    """The files of one incident."""

    def __init__(self, core, name: str) -> None:
        self.name, self._path = name, os.path.join(core.state_dir, PREFIX + name)

    def time_of(self, suffix: str = BEGAN) -> datetime | None:
        """When it BEGAN, or was PRINTED or ALERTED."""
        try:
            written = os.lstat(self._path + suffix).st_mtime
            return datetime.fromtimestamp(int(written), clock.UTC)
        except (OSError, OverflowError, ValueError):
            return None

    def last_error(self) -> str:
        """As far as there was room for it."""
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                return file.read(ERROR_BYTES)
        except OSError:
            return ""

    def record_error(self, now: datetime, error: str) -> datetime:
        """Record the incident with its latest error. Since when it lasts."""
        # a worker may be the first process on its host
        _try(folders.private, os.path.dirname(self._path))
        since = self.time_of() or now
        self._write(BEGAN, since, error)
        return since

    def is_due(self, suffix: str, now: datetime, again: timedelta | None) -> bool:
        """Whether to print or alert it now: for the first time, or after `again`."""
        last = self.time_of(suffix)
        return last is None or last > now or (again is not None and now - last >= again)

    def mark(self, suffix: str, now: datetime) -> None:
        """Record that it was PRINTED or ALERTED."""
        if self.time_of():
            self._write(suffix, now)

    def remove(self) -> None:
        """The incident is over."""
        for suffix in (PRINTED, ALERTED, BEGAN):
            _try(os.unlink, self._path + suffix)

    def _write(self, suffix: str, moment: datetime, text: str = "") -> None:
        """Make the file, with the text only if there is room."""
        try:
            handle = folders.open_own(self._path + suffix, os.O_WRONLY | os.O_CREAT)
        except OSError:
            return
        try:
            if data := text.encode("utf-8", "replace")[:ERROR_BYTES]:
                _try(os.write, handle, data)
                _try(os.ftruncate, handle, len(data))
            os.utime(handle, (moment.timestamp(), moment.timestamp()))
        finally:
            os.close(handle)


def _try(call, *arguments) -> None:
    try:  # noqa: SIM105  contextlib is not loaded otherwise
        call(*arguments)
    except OSError:
        pass
