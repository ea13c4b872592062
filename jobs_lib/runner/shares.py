"""What each job of a tick may use of its time.

One rule: while other jobs are due, a job leaves them what they usually take, and half of the time
that is left at most. So a job that always has more work than time, such as webhooks to deliver by
the hundred thousand, keeps none away for long: what the time does not suffice for goes first once
it is a day late (runner/slots.py).
"""
from __future__ import annotations

from jobs_lib.catalogue import LAST, PRIORITIES

from . import history

WITH_GRACE = 80.0            # seconds: mail begins no message with less than 60 to the hard limit
LEAST_SECONDS = 30.0         # whatever the grace is
UNKNOWN = 0.25               # of a small budget, to begin a job that nothing is known of
URGENT = PRIORITIES[0]
ROOMY = 4                    # times the least: then two urgent jobs leave enough for another


def least(grace: float) -> float:
    """Seconds that a job needs to get anywhere."""
    return max(LEAST_SECONDS, WITH_GRACE - grace)


def is_roomy(budget: float, grace: float) -> bool:
    """Whether urgent jobs can go first in each tick without keeping the others away."""
    return budget >= ROOMY * least(grace)


class Shares:
    """How one tick divides its seconds among the due jobs."""

    def __init__(self, db, budget: float, grace: float, found: list) -> None:
        self._db, self._budget, self._full = db, budget, min(least(grace), budget)
        self._waiting = [item for item in found if item.job.priority != LAST]
        self._known: dict = {}

    def is_enough(self, item, left: float) -> bool:
        """Whether the job can be begun with so much time."""
        return left >= self._needs(item)

    def begin(self, item, left: float) -> float:
        """The job gets its turn: seconds that it may use."""
        self._waiting.remove(item)
        others = sum(self._full if each.job.priority == URGENT else self._needs(each)
                     for each in self._waiting)
        return max(left - min(left / 2, others), self._needs(item)) if self._waiting else left

    def _needs(self, item) -> float:
        """Seconds: what it usually takes; one that had more work than time has more now."""
        if item.cut:
            return self._full
        name = item.job.name
        if name not in self._known:
            usual = history.usual_seconds(self._db, name)
            self._known[name] = self._budget * UNKNOWN if usual is None else usual
        return min(self._full, self._known[name])
