"""Whether cron has stopped, now or within the last day: seen from the runs of `check_jobs`, which
runs in nearly every tick."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.database import stored
from jobs_lib.runner import clock_doubt, slots

JOB = "check_jobs"
DAY = timedelta(days=1)
TICKS = timedelta(hours=1)      # the longest time between two ticks of cron that can be intended
GAP = timedelta(hours=1)        # the least time without a run before cron counts as stopped
RUNS_A_DAY = 320


def past(value, now):
    """A time of the database if it is over, else None: a wrong clock wrote one in the future."""
    moment = stored.time(value)
    return moment if moment and moment <= now else None


class Heartbeat:
    """The starts of the runs of `check_jobs` of a day and more. `state`: its row of `job_state`."""

    def __init__(self, db, state: dict | None, now) -> None:
        rows = db.query("SELECT started_at FROM {job_runs} WHERE job = :job ORDER BY id DESC "
                        "LIMIT :most", job=JOB, most=RUNS_A_DAY)
        # in the order in which they were written, newest first
        self._starts = [start for row in rows if (start := stored.time(row["started_at"]))]
        # by their times, which a wrong clock mixes up
        self._ordered = sorted((start for start in self._starts if start <= now), reverse=True)
        self._state, self._now = state, now
        self._waited_for = past(state and state["due_after"], now)
        self._longest_pause = self._find_longest_pause()

    def gap(self):
        """(from, to) of the last time without a tick, if it ended within a day, or None."""
        for later, earlier in zip(self._ordered, self._ordered[1:]):
            if later < self._now - DAY:
                break
            # before `due_after` it may have been paused or disabled
            begin = max(filter(None, (earlier, self._waited_for)))
            if later - begin > self._longest_pause and not self._ran_between(earlier, later):
                return begin, later
        return None

    def stopped(self, last_run):
        """Since when nothing was started that should have been, or None. `last_run`: of any job."""
        state = self._state
        if state is None or state["paused_at"] or state["due_after"] in (None, slots.OFF):
            return None
        since = max(filter(None, (last_run, self._waited_for)), default=self._now)
        return since if self._now - since > self._longest_pause else None

    def _find_longest_pause(self) -> timedelta:
        """Three times the usual time between two ticks, at least GAP: without a run for longer than
        this, cron has stopped."""
        steps = sorted(later - earlier for later, earlier in zip(self._ordered, self._ordered[1:]))
        usual = steps[len(steps) // 2] if steps else timedelta(0)
        return max(GAP, min(usual, TICKS) * 3)

    def _ran_between(self, earlier, later) -> bool:
        """Whether there were runs between these two that a wrong clock has dated elsewhere."""
        between = self._starts[self._starts.index(later) + 1:self._starts.index(earlier)]
        return any(not earlier - clock_doubt.APART <= start <= later + clock_doubt.APART
                   for start in between)
