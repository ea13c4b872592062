"""Incidents that last from one tick to the next, recorded without a database: by files whose times
say since when.

    file = IncidentFile(core, DATABASE)
    file.record_error(now, "no answer")     -> since when the incident lasts
    file.is_due(PRINTED, now, remind)       -> whether to print it now, for cron's mail
    file.mark(PRINTED, now)                 once it is printed

`incident-NAME` in `[core] state_dir`: its time is the incident's beginning, its text the last
error. Beside it `.said`: when it was printed for cron; `.told`: when it was alerted; `.over`: it is
over, and check_jobs has not stored that yet. The times are all that counts, so empty files do: a
full disk has room for them (docs/decisions.md). Where `state_dir` takes none, `log_dir` may; where
nothing does, nothing is recorded, and all is printed each time.
"""
from __future__ import annotations

import os
from datetime import datetime, timedelta

from jobs_lib import clock, folders

PREFIX = "incident-"
PRINTED, ALERTED, PAST = ".said", ".told", ".over"      # suffixes that installations have on disk
ERROR_BYTES = 1000                          # of the error that is kept
DATABASE, UNWRITABLE, FILES, WORKERS, LOG = "database", "unwritable", "files", "workers", "log"
LOCKS = "locks"
CONFIGURATION = "configuration"             # of single jobs: a section, or the job's file
# a run that stores its outcome shows that these are over
OF_DATABASE = (DATABASE, UNWRITABLE)
STOP_ALL_JOBS = (*OF_DATABASE, FILES)       # while these last no run may be begun


def lasting_incidents(core) -> list[str]:
    """The names of the incidents that last, as far as recorded: all that an idle tick asks."""
    found = []
    for folder in _folders(core):
        try:
            found += [name[len(PREFIX):] for name in os.listdir(folder) if name.startswith(PREFIX)]
        except OSError:
            continue
    return [name for name in found if "." not in name]


def forget_past_incidents(core) -> None:
    """Remove the files of what is over: what they record is stored in `alerts` now."""
    for name in STOP_ALL_JOBS:
        file = IncidentFile(core, name)
        if name in OF_DATABASE:
            # another look decides whether FILES can be used again
            file.end_incident()
        file.forget_past()


class IncidentFile:
    """The files of one incident."""

    def __init__(self, core, name: str) -> None:
        self.name, self._state_dir = name, core.state_dir
        self._paths = [os.path.join(folder, PREFIX + name) for folder in _folders(core)]

    def time_of(self, suffix: str) -> datetime | None:
        """When it was printed or alerted (PRINTED, ALERTED), or when the one began that is over now
        (PAST)."""
        for path in self._paths:
            try:
                return datetime.fromtimestamp(int(os.lstat(path + suffix).st_mtime), clock.UTC)
            except (OSError, OverflowError, ValueError):
                continue
        return None

    def began_at(self) -> datetime | None:
        """When the incident began; None when none lasts, or nothing can be recorded."""
        return self.time_of("")

    def ended_since(self) -> datetime | None:
        """For a run that can use the database: when the incident began that is over now and is to
        be reported, or None."""
        lasts = self.name in OF_DATABASE and self._is_worth_reporting()
        return self.time_of(PAST) or (self.began_at() if lasts else None)

    def last_error(self) -> str:
        """The incident's last error, as far as there was room for it."""
        for path in (path + suffix for path in self._paths for suffix in ("", PAST)):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    return file.read(ERROR_BYTES)
            except OSError:
                continue
        return ""

    def record_error(self, now: datetime, error: str) -> datetime:
        """Record the incident with its latest error. Since when it lasts."""
        _try(folders.private, self._state_dir)      # a worker may be the first process on its host
        since = self.began_at() or now
        self._write("", since, error)
        return since

    def is_due(self, suffix: str, now: datetime, again: timedelta | None) -> bool:
        """Whether to print or alert it now: for the first time, or after `again`."""
        last = self.time_of(suffix)
        return last is None or last > now or (again is not None and now - last >= again)

    def mark(self, suffix: str, now: datetime) -> None:
        """Record that it was printed or alerted (PRINTED, ALERTED)."""
        if self.began_at():
            self._write(suffix, now)

    def end_incident(self) -> None:
        """The incident is over. If check_jobs is to report that, it is kept until then
        (`forget_past`)."""
        keep = self.name in STOP_ALL_JOBS and self._is_worth_reporting()
        for path in self._paths:
            if keep and os.path.lexists(path):
                _try(os.replace, path, path + PAST)
            for suffix in ("", PRINTED, ALERTED):
                _try(os.unlink, path + suffix)

    def forget_past(self) -> None:
        """That there was an incident is stored elsewhere now."""
        for path in self._paths:
            _try(os.unlink, path + PAST)

    def _is_worth_reporting(self) -> bool:
        """A moment in which another writer held the database is not: it was never printed."""
        return self.name == DATABASE or self.time_of(PRINTED) is not None

    def _write(self, suffix: str, moment: datetime, text: str = "") -> None:
        """Make the file, in the first folder that takes it; the text only if there is room."""
        data = text.encode("utf-8", "replace")[:ERROR_BYTES]
        for path in self._paths:
            try:
                if os.geteuid() == 0 and os.stat(os.path.dirname(path)).st_uid != 0:
                    continue            # that user could not write what root leaves there
                handle = os.open(path + suffix, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
                                 | os.O_CLOEXEC, 0o600)
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
        # it is recorded worse, or longer; nothing else depends on it
        pass
