"""What a run counts and logs, in step with its transactions.

While a transaction is open, its counts and log lines are provisional: a commit makes them final, a
rollback takes them back, and a batch that is tried again begins from the same numbers. So a job
counts where it works, and no row is counted twice, or counted and not stored. The database calls
`begin`, `committed` and `rolled_back` (database/connection.py); each may come twice, or be cut
short by a signal, and the next one puts it right.
"""
from __future__ import annotations


class Journal:
    """`counts` is one dict for the whole run. To a job this is `ctx.log`: `event`, `warning`,
    `error`."""

    def __init__(self, log) -> None:
        self.counts: dict = {}
        self._log = log
        # the counts at the beginning of the open transaction
        self._before: dict | None = None
        self._held: list = []                   # its log lines
        # lines of transactions that were committed, not written yet
        self._final: list = []

    # As a log

    def event(self, event: str, level: str = "info", **fields) -> None:
        """Write one line, now or with the commit."""
        if self._before is None:
            self._write()
            self._log.event(event, level, **fields)
        else:
            self._held.append((event, level, fields))

    def warning(self, event: str, **fields) -> None:
        """An event that the operator should see."""
        self.event(event, "warning", **fields)

    def error(self, event: str, **fields) -> None:
        """An event that went wrong."""
        self.event(event, "error", **fields)

    def at_once(self, name: str, event: str, **fields) -> None:
        """Count one, and write it as an error, whatever becomes of an open transaction."""
        self.counts[name] = self.counts.get(name, 0) + 1
        if self._before is not None:
            self._before[name] = self.counts[name]
        self._log.error(event, **fields)

    # Called by the database

    def begin(self) -> None:
        """A transaction is open."""
        self._held = []
        self._before = dict(self.counts)

    def committed(self) -> None:
        """The transaction is stored: what was counted and logged in it is final."""
        self._final += self._held
        self._held, self._before = [], None
        self._write()

    def rolled_back(self) -> None:
        """Nothing of the transaction is stored. Without an open one this does nothing."""
        before, self._held = self._before, []
        if before is not None:
            self.counts.clear()
            self.counts.update(before)
            self._before = None

    def close(self) -> None:
        """The end of the run: a transaction that is still open will never be committed."""
        self.rolled_back()
        self._write()

    def _write(self) -> None:
        while self._final:                      # one by one: a signal between two loses none
            event, level, fields = self._final[0]
            self._log.event(event, level, **fields)
            del self._final[0]
