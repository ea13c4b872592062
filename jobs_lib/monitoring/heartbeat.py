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
HOUR = len("2026-11-24 14")     # the characters of a time that say its hour


def past(value, now):
    """A time of the database if it is over, else None: a wrong clock wrote one in the future."""
    moment = stored.time(value)
    return moment if moment and moment <= now else None


class Heartbeat:
    """The starts of the runs of `check_jobs` of a day and more. `state`: its row of `job_state`."""

    def __init__(self, db, state: dict | None, now) -> None:
        # in the order in which they were written, newest first
        self._written = [str(row["started_at"]) for row in db.query(
            "SELECT started_at FROM {job_runs} WHERE job = :job ORDER BY id DESC LIMIT :most",
            job=JOB, most=RUNS_A_DAY)]
        self._state, self._now = state, now
        self._waited_for = past(state and state["due_after"], now)

    def gap(self):
        """(from, to) of the last time without a tick, if it ended within a day, or None."""
        if _is_steady(self._written):
            return None
        starts, ordered = self._starts(), self._ordered()
        longest_pause = _longest_pause(ordered)
        for later, earlier in zip(ordered, ordered[1:]):
            if later < self._now - DAY:
                break
            # before `due_after` it may have been paused or disabled
            begin = max(filter(None, (earlier, self._waited_for)))
            if later - begin > longest_pause and not _ran_between(starts, earlier, later):
                return begin, later
        return None

    def stopped(self, last_run):
        """Since when nothing was started that should have been, or None. `last_run`: of any job."""
        state = self._state
        if state is None or state["paused_at"] or state["due_after"] in (None, slots.OFF):
            return None
        since = max(filter(None, (last_run, self._waited_for)), default=self._now)
        passed = self._now - since
        return since if passed > GAP and passed > _longest_pause(self._ordered()) else None

    def _starts(self) -> list:
        return [start for text in self._written if (start := stored.time(text))]

    def _ordered(self) -> list:
        """By their times, which a wrong clock mixes up."""
        return sorted((start for start in self._starts() if start <= self._now), reverse=True)


def _is_steady(written: list[str]) -> bool:
    """Whether no two starts that follow each other are more than GAP apart, or in the wrong order:
    then nothing else is to be known of them. Most are of the same hour, which their text shows."""
    for later, earlier in zip(written, written[1:]):
        if later[:HOUR] != earlier[:HOUR] or later < earlier:
            end, begin = stored.time(later), stored.time(earlier)
            if not (end and begin and timedelta(0) <= end - begin <= GAP):
                return False
    return True


def _longest_pause(ordered: list) -> timedelta:
    """Three times the usual time between two ticks, at least GAP: without a run for longer than
    this, cron has stopped."""
    steps = sorted(later - earlier for later, earlier in zip(ordered, ordered[1:]))
    usual = steps[len(steps) // 2] if steps else timedelta(0)
    return max(GAP, min(usual, TICKS) * 3)


def _ran_between(starts: list, earlier, later) -> bool:
    """Whether there were runs between these two that a wrong clock has dated elsewhere."""
    between = starts[starts.index(later) + 1:starts.index(earlier)]
    return any(not earlier - clock_doubt.APART <= start <= later + clock_doubt.APART
               for start in between)
