"""What a run writes down: its log, a file of JSON Lines for each job; and what it counts and logs,
in step with its transactions.

A line is one `write` to a file opened for appending, so lines of several processes never mix. A log
that cannot be written stops no job: what is to be logged is dropped, and `status` says why.
"""
from __future__ import annotations

import os

from jobs_lib import clock
from jobs_lib.folders import open_own, private
from jobs_lib.records import dumps

SIZE = 3 * 1024 ** 2  # a larger file is rotated by the next run; one rotated one is kept


class Events:
    """Takes events, and keeps none: the log of a dry run."""

    def event(self, event: str, level: str = "info", **fields) -> None:
        """Something happened."""

    def warning(self, event: str, **fields) -> None:
        """An event that the operator should see."""
        self.event(event, "warning", **fields)

    def error(self, event: str, **fields) -> None:
        """An event that went wrong."""
        self.event(event, "error", **fields)

    def close(self) -> None:
        """No more events for now."""


class Log(Events):
    """The log of this name in `[core] log_dir`. `fields` are on every line (job, run_id)."""

    def __init__(self, core, name: str, *, now=clock.now, **fields) -> None:
        self.path = os.path.join(core.log_dir, name + ".log")
        self._now, self._fields, self._file = now, fields, -1

    def event(self, event: str, level: str = "info", **fields) -> None:
        """Write one line: `{"time", "level", "event", "job", "run_id", ...}`."""
        line = dumps({"time": clock.text(self._now()), "level": level, "event": event,
                      **self._fields, **fields}) + "\n"
        try:
            if self._file < 0:
                self._open()
            # the rest is escaped: no control character reaches a terminal
            data = line.encode("ascii")
            written = os.write(self._file, data)
            if written < len(data):  # a full disk has taken a part, which would spoil the next line
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
        except OSError:
            pass

    def close(self) -> None:
        """Close the file; the next event opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        """Once a run. A full one is rotated before: nobody writes into it but runs under the lock
        of this job."""
        private(os.path.dirname(self.path))
        if os.path.exists(self.path) and os.stat(self.path).st_size >= SIZE:
            os.replace(self.path, f"{self.path}.1")
        self._file = open_own(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


class Journal(Events):
    """`ctx.log` of a job. What is counted and logged while a transaction is open is final with its
    commit and taken back with a rollback: so no row is counted twice, or counted and not stored.

    The database calls `begin`, `committed` and `rolled_back`. Each may come twice, or be cut short
    by a signal, and the next one puts it right.
    """

    def __init__(self, log: Events) -> None:
        self.counts: dict = {}  # of the whole run
        self._log = log
        # of the open transaction: the counts as it began, and its lines
        self._before: dict | None = None
        self._lines: list = []

    def event(self, event: str, level: str = "info", **fields) -> None:
        """Write one line, now or with the commit."""
        if self._before is None:
            self._log.event(event, level, **fields)
        else:
            self._lines.append((event, level, fields))

    def begin(self) -> None:
        """A transaction is open."""
        self._before, self._lines = dict(self.counts), []

    def committed(self) -> None:
        """The transaction is stored."""
        lines, self._lines, self._before = self._lines, [], None
        for event, level, fields in lines:
            self._log.event(event, level, **fields)

    def rolled_back(self) -> None:
        """Nothing of the transaction, if there is one, is stored."""
        if self._before is not None:
            self.counts.clear()
            self.counts.update(self._before)
        self._before, self._lines = None, []
