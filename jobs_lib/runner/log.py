"""The log: one file of JSON Lines a job, a line an event.

Written by our own few lines, since importing `logging` costs as much as starting Python. A line is
one `write` to a file opened for appending, so lines of several processes never mix. A log that
cannot be written never stops a job: the first run prints that on stderr, with what went wrong in
it, and records it (runner/incident_files.py), so that the next one does not repeat it; all else is
dropped, since cron would mail it.
"""
from __future__ import annotations

import errno
import os
import sys

from jobs_lib import clock
from jobs_lib.folders import open_own, private
from jobs_lib.plain_json import dumps

from .incident_files import PRINTED

SIZE, FILES = 1024 ** 2, 5       # a larger file is rotated by the next run; rotated ones kept


class Log:
    """Events of one job's run. `fields` are on every line (job, run_id).

    incident  the IncidentFile that records that no line can be written
    silent    nothing is printed then, and `broken` alone shows it
    """

    def __init__(self, folder: str, name: str, *, now=clock.now,
                 incident=None, silent: bool = False, **fields) -> None:
        self.path = os.path.join(folder, name + ".log")
        self._now, self._fields, self._file, self.broken = now, fields, -1, False
        self._incident, self._silent = incident, silent

    def event(self, event: str, level: str = "info", **fields) -> None:
        """Write one line: `{"time", "level", "event", "job", "run_id", ...}`."""
        line = dumps({"time": clock.text(self._now()), "level": level, "event": event,
                      **self._fields, **fields}) + "\n"
        # the rest is escaped: no control character reaches a terminal
        data = line.encode("ascii")
        try:
            self._open()
            self._write(data)
        except OSError as error:
            if self._silent:
                self.broken = True
                return
            if not self.broken:
                self.broken = True
                self._silent = not self._print_once(
                    f"the log {self.path} cannot be written ({error.strerror}): only what went "
                    "wrong is shown here")
            if level != "info" and not self._silent:
                sys.stderr.write(line)

    def _print_once(self, message: str) -> bool:
        """Print it on stderr, unless an earlier run has. Whether it was printed."""
        incident = self._incident
        if incident is not None:
            incident.record_error(self._now(), message)
            if not incident.is_due(PRINTED, self._now(), None):
                return False
            incident.mark(PRINTED, self._now())
        print(message, file=sys.stderr)
        return True

    def warning(self, event: str, **fields) -> None:
        """An event that the operator should see."""
        self.event(event, "warning", **fields)

    def error(self, event: str, **fields) -> None:
        """An event that went wrong."""
        self.event(event, "error", **fields)

    def close(self) -> None:
        """Close the file; the next event opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, data: bytes) -> None:
        """All of it or nothing: on a full disk a part may be taken, and would spoil the line that
        follows."""
        written = os.write(self._file, data)
        if written < len(data):
            end = os.lseek(self._file, 0, os.SEEK_CUR)
            if os.fstat(self._file).st_size == end:          # nobody has written behind it
                os.ftruncate(self._file, end - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self) -> None:
        """Open the file, once a run. A full one is rotated before: nobody writes into it but runs
        under the lock of this job."""
        if self._file >= 0:
            return
        try:
            is_full = os.stat(self.path).st_size >= SIZE
        except FileNotFoundError:
            is_full = False
            private(os.path.dirname(self.path))
        if is_full:
            for number in range(FILES - 1, 0, -1):
                if os.path.exists(older := f"{self.path}.{number}"):
                    os.replace(older, f"{self.path}.{number + 1}")
            os.replace(self.path, f"{self.path}.1")
        self._file = open_own(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


class NoLog:
    """A dry run leaves no line."""

    def event(self, *_args, **_fields) -> None:
        """Nothing is written."""

    warning = error = close = event


def open_log(core, name: str, **more) -> Log:
    """The log of this name, as `[core]` has it."""
    return Log(core.log_dir, name, **more)
