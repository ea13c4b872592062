"""When something may happen by its age, and when it must have: what the rules of several modules
share."""
from __future__ import annotations

from collections import deque

from . import DAY, HOUR, Rule, new

PATIENCE = 12 * HOUR            # a process that was stopped goes on with the time at its start
DOUBT = DAY                     # a clock that is off by more is in doubt as long as it is
STEADY = 3 * DAY                # for so long nothing goes by its age after cron was away for days
REACHED = ("sent", "uncertain")


class Aged(Rule):
    """A rule about ages. `check` of a subclass begins with `self.look(step)`."""

    def __init__(self) -> None:
        self._skews: deque = deque()
        self._last_run = self._away_until = 0.0
        self._active: dict[int, float] = {}
        self.now = 0.0                  # the latest time that a process may have believed it was
        self.in_doubt = False           # the clock has jumped: nothing goes because of its age

    def look(self, step) -> None:
        """What the clocks say."""
        if new(step, "job_runs"):
            if step.began - self._last_run > 2 * DOUBT:
                self._away_until = step.ended + STEADY - HOUR
            self._last_run = step.ended
        self._skews.append((step.ended, step.skew))
        while self._skews[0][0] < step.ended - PATIENCE:
            self._skews.popleft()
        self.now = step.ended + max(0, *(skew for _, skew in self._skews))
        self.in_doubt = abs(step.skew) > DOUBT or step.ended < self._away_until
        for id, row in step.after["users"].items():
            if row["status"] != "active":
                self._active.pop(id, None)
            else:
                self._active.setdefault(id, step.ended)

    def trust_clock(self) -> None:
        """An operator says that cron was only away."""
        self._away_until = 0.0

    def active_since(self, user: int) -> float:
        """Since when its owner, perhaps suspended or deleted before, can be notified; 0: is not."""
        return self._active.get(user, 0)

    def too_soon(self, what: str, limit: float):
        """What is wrong if that was done before its limit may have been past, or in doubt."""
        if not self.is_over(limit):
            yield f"{what} {limit - self.now:.0f} s before its limit"
        elif self.in_doubt:
            yield f"{what} while the clock was in doubt"

    def is_over(self, second: float) -> bool:
        """Whether a limit may be past by now: what is exactly at it stays."""
        return self.now > second


def is_owed(step, since: float, within: float) -> bool:
    """Whether what has been due since then must have happened: all has been quiet for so long."""
    return not step.trouble and step.ended - max(since, step.quiet_since) > within


def is_leaving(step, row) -> bool:
    """Whether the row's owner deletes the account, or is gone: then other rules apply to it."""
    owner = step.before["users"].get(row["user_id"])
    return row["user_id"] is not None and (owner is None or owner["status"] == "deleted")


class Notices:
    """When each notice reached its reader, or was given up."""

    def __init__(self) -> None:
        self._reached: dict[int, float] = {}
        self._ended: dict[int, float] = {}

    def look(self, step) -> None:
        """What was sent in this tick. The time that counts is the earlier of the true one and the
        one that the host believed in, which has no fractions of a second."""
        for entry in step.journal:
            name, _, id = entry["item"].partition("-")
            if entry["what"] == "mail" and name == "notice" and entry["outcome"] in REACHED:
                self._reached.setdefault(int(id), entry["at"] - 1 + min(0, step.skew))
        for id, row in step.after["notifications"].items():
            if row["status"] == "sent":
                self._ended.setdefault(id, step.ended)
            else:                                       # it was put into the queue again by hand
                self._ended.pop(id, None)

    def earliest(self, id: int | None, at_last: float, least: int) -> float:
        """The second until which a notice holds back what it announces: so long after it was sent.
        One that never is lets go `at_last`, which is at twice the limit."""
        return self._reached[id] + least if id in self._reached else at_last

    def latest(self, id: int | None, at_last: float, least: int) -> float:
        """The second from which on it holds nothing back, even if it was sent and a kill kept that
        from being known. One that still waits to be sent does so for ever."""
        return self._ended[id] + least if id in self._ended else float("inf")
