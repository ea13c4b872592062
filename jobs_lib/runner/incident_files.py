"""Incidents that last from one tick to the next, recorded without a database: by files whose times
say since when.

    file = IncidentFile(core, DATABASE)
    file.record_error(now, "no answer")     -> since when the incident lasts
    file.is_due(PRINTED, now, remind)       -> whether to print it now, for cron's mail
    file.mark(PRINTED, now)                 once it is printed

`incident-NAME` in `[core] state_dir`: its time is the incident's beginning, its text the last
error. Beside it `.said`: when it was printed for cron; `.told`: when it was alerted. The times are
all that counts, so empty files do: a full disk has room for them (docs/decisions.md). Where
`state_dir` takes none, `log_dir` may; where nothing does, nothing is recorded.
"""
from __future__ import annotations

import os
from datetime import datetime, timedelta

from jobs_lib import clock, folders

PREFIX = "incident-"
BEGAN, PRINTED, ALERTED = "", ".said", ".told"      # suffixes of the files
ERROR_BYTES = 1000                          # of the error that is kept
DATABASE, FILES, WORKERS, LOG, LOCKS = "database", "files", "workers", "log", "locks"
CONFIGURATION = "configuration"             # of single jobs: a section, or the job's file
STOP_ALL_JOBS = (DATABASE, FILES)           # while these last no run may be begun


def lasting_incidents(core) -> list[str]:
    """The names of the incidents that last, as far as recorded: all that an idle tick asks."""
    found = []
    for folder in _folders(core):
        try:
            found += [name[len(PREFIX):] for name in os.listdir(folder) if name.startswith(PREFIX)]
        except OSError:
            continue
    return [name for name in found if "." not in name]


class IncidentFile:
    """The files of one incident. What cannot be written is recorded worse; nothing fails by it."""

    def __init__(self, core, name: str) -> None:
        self.name, self._state_dir = name, core.state_dir
        self._paths = [os.path.join(folder, PREFIX + name) for folder in _folders(core)]

    def time_of(self, suffix: str = BEGAN) -> datetime | None:
        """When it began, or was printed or alerted (PRINTED, ALERTED), as far as recorded."""
        for path in self._paths:
            try:
                return datetime.fromtimestamp(int(os.lstat(path + suffix).st_mtime), clock.UTC)
            except (OSError, OverflowError, ValueError):
                continue
        return None

    def last_error(self) -> str:
        """The incident's last error, as far as there was room for it."""
        for path in self._paths:
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    return file.read(ERROR_BYTES)
            except OSError:
                continue
        return ""

    def record_error(self, now: datetime, error: str) -> datetime:
        """Record the incident with its latest error. Since when it lasts."""
        _try(folders.private, self._state_dir)      # a worker may be the first process on its host
        since = self.time_of() or now
        self._write(BEGAN, since, error)
        return since

    def is_due(self, suffix: str, now: datetime, again: timedelta | None) -> bool:
        """Whether to print or alert it now: for the first time, or after `again`."""
        last = self.time_of(suffix)
        return last is None or last > now or (again is not None and now - last >= again)

    def mark(self, suffix: str, now: datetime) -> None:
        """Record that it was printed or alerted (PRINTED, ALERTED)."""
        if self.time_of():
            self._write(suffix, now)

    def remove(self) -> None:
        """The incident is over."""
        for path in self._paths:
            for suffix in (PRINTED, ALERTED, BEGAN):
                _try(os.unlink, path + suffix)

    def _write(self, suffix: str, moment: datetime, text: str = "") -> None:
        """Make the file, in the first folder that takes it; the text only if there is room."""
        data = text.encode("utf-8", "replace")[:ERROR_BYTES]
        for path in self._paths:
            try:
                handle = folders.open_own(path + suffix, os.O_WRONLY | os.O_CREAT)
            except OSError:
                continue
            try:
                if data:
                    _try(os.write, handle, data)
                    _try(os.ftruncate, handle, len(data))
                os.utime(handle, (moment.timestamp(), moment.timestamp()))
            finally:
                os.close(handle)
            return


def _folders(core) -> list[str]:
    return list(dict.fromkeys((core.state_dir, core.log_dir)))


def _try(call, *arguments) -> None:
    try:                                    # noqa: SIM105  contextlib is not loaded otherwise
        call(*arguments)
    except OSError:
        pass
