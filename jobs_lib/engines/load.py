"""How busy a database server is with all its clients, looked at between two units of work.

It says how many of its threads are running: gh-ost and pt-online-schema-change (--max-load) go by
the same number, with the same limit. SQLite has no server: there the time that a batch waits for
the one write lock makes the next one smaller and the pause before it longer (batch_delete.py).
"""
from __future__ import annotations

from jobs_lib.database import stored

MAX_RUNNING = 25                   # threads that run for others
SECONDS = 1.0               # between two looks; the first one comes so long after the beginning
PATIENCE = 60.0             # seconds, at most, that a load may last before the run gives up
SHARE = 0.1                 # of what is left of the run's time, likewise


class Load:
    """The load as one run sees it. A run shorter than SECONDS takes no look."""

    def __init__(self, ctx) -> None:
        self.ctx, self._look = ctx, ctx.db.dialect.threads_running
        self._patience = min(PATIENCE, SHARE * ctx.seconds_left())
        self._next = ctx.monotonic() + SECONDS

    def wait(self) -> bool:
        """Wait while the load is over its limit, and stop the run as `busy` where it stays so.
        Whether it was: then the next unit should be smaller.

        To be called outside of any transaction, and after a unit, so that each run gets something
        done.
        """
        began, was_over = self.ctx.monotonic(), False
        if not self._look or began < self._next:
            return False
        while not self.ctx.should_stop() and (others := self._others()) > MAX_RUNNING:
            waited, was_over = self.ctx.monotonic() - began, True
            if waited >= self._patience:
                self.ctx.stop_busy(f"{others} threads were running in the database, the limit is "
                                   f"{MAX_RUNNING}, and a wait of {waited:.0f} s did not help")
            else:
                self.ctx.sleep(SECONDS)
        self._next = self.ctx.monotonic() + SECONDS
        return was_over

    def _others(self) -> int:
        # One is ours. A proxy may show none at all: what cannot be seen is not guessed.
        found = self.ctx.db.row(self._look) or {}
        return stored.number(found.get("Value"), 1) - 1
