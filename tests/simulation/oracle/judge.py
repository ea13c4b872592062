"""All rules, and what they share: when something may happen by its age."""
from __future__ import annotations

from collections import deque

from .. import oracle
from . import accounts, domains, expiry, exports, mail, retention, runs, usage, webhooks

# in the order in which they are asked
RULES = (*mail.RULES, *retention.RULES, *expiry.RULES, *usage.RULES, *webhooks.RULES,
         *domains.RULES, *exports.RULES, *accounts.RULES, *runs.RULES)
PATIENCE = 12 * oracle.HOUR     # a process that was stopped goes on with the time at its start
DOUBT = oracle.DAY              # a clock that is off by more is in doubt as long as it is
STEADY = 3 * oracle.DAY         # so long nothing goes by its age after cron was away for days


class Ages:
    """What the clocks have said, who could be notified since when, and which notices reached their
    readers."""

    def __init__(self) -> None:
        self._skews: deque = deque()
        self._last_run = 0.0
        self.away_until = 0.0           # cron was away: until then nothing goes by its age
        self._active: dict[int, float] = {}
        self._reached: dict[int, float] = {}    # notices that were sent
        self._ended: dict[int, float] = {}      # that are known to be sent
        self.now = 0.0                  # the latest time that a process may have believed it was
        self.in_doubt = False           # the clock has jumped: nothing goes because of its age

    def begin(self, step) -> None:
        """Before the rules look at a step."""
        if step.new("job_runs"):
            if step.began - self._last_run > 2 * DOUBT:
                self.away_until = step.ended + STEADY - oracle.HOUR
            self._last_run = step.ended
        self._skews.append((step.ended, step.skew))
        while self._skews[0][0] < step.ended - PATIENCE:
            self._skews.popleft()
        self.now = step.ended + max(0, *(skew for _, skew in self._skews))
        self.in_doubt = abs(step.skew) > DOUBT or step.ended < self.away_until
        for id, row in step.after["users"].items():
            if row["status"] != "active":
                self._active.pop(id, None)
            else:
                self._active.setdefault(id, step.ended)

    def end(self, step) -> None:
        """After it: a notice that is sent in the tick that deletes has not been out for a day. The
        time that counts is the earlier of the true one and the one that the host believed in, which
        has no fractions of a second."""
        for entry, _, id in step.sent("notice"):
            if entry["outcome"] in oracle.REACHED:
                self._reached.setdefault(id, entry["at"] - 1 + min(0, step.skew))
        for id, row in step.after["notifications"].items():
            if row["status"] == "sent":
                self._ended.setdefault(id, step.ended)
            else:                                       # it was put into the queue again by hand
                self._ended.pop(id, None)

    def active_since(self, row: dict) -> float:
        """Since when its owner, perhaps suspended or deleted before, can be notified; 0: is not."""
        return self._active.get(row["user_id"], 0)

    def too_soon(self, what: str, limit: float):
        """What is wrong if that was done before its limit may have been past, or in doubt."""
        if self.now <= limit:           # what is exactly at it stays
            yield f"{what} {limit - self.now:.0f} s before its limit"
        elif self.in_doubt:
            yield f"{what} while the clock was in doubt"

    def earliest(self, id: int | None, at_last: float, least: int) -> float:
        """The second until which a notice holds back what it announces: so long after it was sent.
        One that never is lets go `at_last`, which is at twice the limit."""
        return self._reached[id] + least if id in self._reached else at_last

    def latest(self, id: int | None, _at_last: float, least: int) -> float:
        """The second from which on it holds nothing back, even if it was sent and a kill kept that
        from being known. One that still waits to be sent does so for ever."""
        return self._ended[id] + least if id in self._ended else float("inf")


class Judge:
    """Asks all rules. `ages` is what they share."""

    def __init__(self) -> None:
        self.ages, self.rules = Ages(), [rule() for rule in RULES]

    def wrong(self, step, *more) -> str:
        """The first sentence, of these rules or of more of them; "" when all were kept."""
        self.ages.begin(step)
        for rule in (*self.rules, *more):
            for sentence in rule.check(step):
                return f"{type(rule).__name__}: {sentence}"
        self.ages.end(step)
        return ""
