"""Incidents that last from one tick to the next, remembered without a database: by files whose
times say since when.

    incident = standing.Incident(core, "database")
    incident.begin(now, "no answer")         -> since when it lasts
    incident.due(SAID, now, remind)          -> whether to print it now, for cron's mail
    incident.note(SAID, now)                 once it is printed

`incident-NAME` in `[core] state_dir`: its time is the incident's beginning, its text the last
error. Beside it `.said`: when it was printed for cron; `.told`: when it was alerted; `.over`: it is
over, and check_jobs has not stored that yet. The times are all that counts, so empty files do: a
full disk has room for them (docs/decisions.md). Where `state_dir` takes none, `log_dir` may; where
nothing does, nothing is remembered, and all is printed each time.
"""
from __future__ import annotations

import os
from datetime import datetime, timedelta

from jobs_lib import clock

PREFIX, SAID, TOLD, OVER = "incident-", "said", "told", "over"
LONGEST = 1000                              # of the error that is kept
DATABASE, UNWRITABLE, FILES, WORKERS, LOG = "database", "unwritable", "files", "workers", "log"
LOCKS = "locks"
BARS_ALL = (DATABASE, UNWRITABLE, FILES)    # while these last no run may be begun
# of each hour, in which what cannot be remembered is alerted
FRESH = timedelta(minutes=15)


def names(core) -> list[str]:
    """Which incidents last, as far as is remembered: all that an idle tick asks."""
    found = []
    for folder in dict.fromkeys((core.state_dir, core.log_dir)):
        try:
            found += [name[len(PREFIX):] for name in os.listdir(folder) if name.startswith(PREFIX)]
        except OSError:
            continue
    return [name for name in found if "." not in name]


class Incident:
    """One of them, by its name."""

    def __init__(self, core, name: str) -> None:
        self.name = name
        self._paths = [os.path.join(folder, PREFIX + name)
                       for folder in dict.fromkeys((core.state_dir, core.log_dir))]

    def since(self, suffix: str = "") -> datetime | None:
        """When it began. By a suffix: when it was printed or alerted, or when the one began that is
        over now."""
        for path in self._paths:
            try:
                return datetime.fromtimestamp(int(os.lstat(path + suffix).st_mtime), clock.UTC)
            except (OSError, OverflowError, ValueError):
                continue
        return None

    def error(self) -> str:
        """Its last error, as far as there was room for it."""
        for path in (path + suffix for path in self._paths for suffix in ("", "." + OVER)):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    return file.read(LONGEST)
            except OSError:
                continue
        return ""

    def begin(self, now: datetime, error: str = "") -> datetime:
        """Remember it, if it is not. Since when it lasts."""
        since = self.since() or now
        self._set("", since, error)
        return since

    @property
    def remembered(self) -> bool:
        """Whether it could be remembered: if not, each tick takes itself for the first."""
        return self.since() is not None

    def due(self, what: str, now: datetime, again: timedelta | None) -> bool:
        """Whether it is to be printed or alerted now: for the first time, or after `again`."""
        last = self.since("." + what)
        return last is None or last > now or (again is not None and now - last >= again)

    def note(self, what: str, now: datetime) -> None:
        """It was printed, or alerted."""
        if self.remembered:
            self._set("." + what, now)

    def end(self, keep: bool = False) -> None:
        """It is over. `keep`: until check_jobs has stored it (`recorded`)."""
        for path in self._paths:
            if keep and os.path.lexists(path):
                _try(os.replace, path, f"{path}.{OVER}")
            for suffix in ("", "." + SAID, "." + TOLD):
                _try(os.unlink, path + suffix)

    def recorded(self) -> None:
        """That it was is stored elsewhere now."""
        for path in self._paths:
            _try(os.unlink, f"{path}.{OVER}")

    def _set(self, suffix: str, moment: datetime, text: str = "") -> None:
        """Make the file, in the first folder that takes it; the text only if there is room."""
        for path in self._paths:
            try:
                handle = os.open(path + suffix, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
                                 | os.O_CLOEXEC, 0o600)
            except OSError:
                continue
            try:
                if text:
                    _try(os.write, handle, text.encode("utf-8", "replace")[:LONGEST])
                    _try(os.ftruncate, handle, min(len(text.encode("utf-8", "replace")), LONGEST))
                os.utime(handle, (moment.timestamp(), moment.timestamp()))
            finally:
                os.close(handle)
            return


def _try(call, *arguments) -> None:
    try:                                    # noqa: SIM105  contextlib is not loaded otherwise
        call(*arguments)
    except OSError:
        # it is remembered worse, or longer; nothing else depends on it
        pass
