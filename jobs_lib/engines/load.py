"""How busy a database server is with all its clients, looked at between two units of work.

It says how many of its threads are running: gh-ost and pt-online-schema-change (--max-load,
--critical-load) go by the same number, the latter with the same limits. SQLite has no server: there
the time that a batch waits for the one write lock makes the next one smaller and the pause before
it longer (batch_delete.py).
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.runner.context import BUSY

MAX_RUNNING = 25            # threads of other clients
SECONDS = 1.0               # between two looks; the first one comes so long after the beginning
CRITICAL = 2                # times the limit: stop at once
PATIENCE = 60.0             # seconds, at most, that a load may last before the run gives up
SHARE = 0.1                 # of what is left of the run's time, likewise
# how long after a run that stopped as busy the next ones do not wait
GAVE_UP_WITHIN = timedelta(minutes=1)
LATEST = 30                 # runs among which it is looked for: more than there are jobs


class Load:
    """The load as one run sees it. A run shorter than SECONDS takes no look.

    waited  seconds that the run has waited for it to go down
    """

    def __init__(self, ctx) -> None:
        self.ctx, self.waited = ctx, 0.0
        self._look = ctx.db.dialect.threads_running
        self._patience = min(PATIENCE, SHARE * ctx.seconds_left())
        self._next = ctx.monotonic() + SECONDS

    def wait(self) -> bool:
        """Wait while the load is over its limit. Whether it was: then the next unit should be
        smaller.

        Where it stays so, is far over it, or has just made another run stop, this one stops as
        `busy`, too. To be called outside of any transaction, and after a unit, so that each run
        gets something done.
        """
        began, was_over = self.ctx.monotonic(), False
        if not self._look or began < self._next:
            return False
        while not self.ctx.should_stop():
            found = self.ctx.db.row(self._look)
            now = self.ctx.monotonic()
            self._next = now + SECONDS
            # One is ours. A proxy may show none at all: what cannot be seen is not guessed.
            others = stored.number((found or {}).get("Value"), 1) - 1
            if others <= MAX_RUNNING:
                break
            seen = f"{others} threads were running in the database, the limit is {MAX_RUNNING}"
            if others > CRITICAL * MAX_RUNNING:
                self.ctx.stop_busy(seen)
            elif now - began >= self._patience:
                self.ctx.stop_busy(f"{seen}, and a wait of {now - began:.0f} s did not help")
            elif not was_over and self._gave_up():
                self.ctx.stop_busy(f"{seen}, and a run just before this one stopped as busy")
            elif not self.waited:
                self.ctx.log.event("waiting for the database", reason=seen)
            was_over = True
            self.ctx.sleep(SECONDS)
            self.waited += self.ctx.monotonic() - now
        return was_over

    def _gave_up(self) -> bool:
        """Whether a run has just stopped as `busy`. If each job of a tick waited in vain, what has
        to be on time would be late."""
        now = self.ctx.clock()
        moments = [stored.time(row["finished_at"]) for row in self.ctx.db.query(
            "SELECT stop_reason, finished_at FROM {job_runs} ORDER BY id DESC LIMIT :most",
            most=LATEST) if row["stop_reason"] == BUSY]
        return any(abs(now - moment) < GAVE_UP_WITHIN for moment in moments if moment)
