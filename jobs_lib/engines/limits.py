"""The relay's limits, so that all processes together stay under them.

A host discards mail over its hourly limit, sometimes after having said 250, so we count for
ourselves: the attempts on record (attempts.py) in each rolling window, in the commit that begins
the next one, under the lock of the one row of `relay_state`. A run reads them once, and after that
only attempts with a higher id, less those that have left a window.

A share of each limit is reserved for urgent mail. Of the rest either queue of mail leaves the other
half of an hour's and a day's while that one has due rows.
"""
from __future__ import annotations

from bisect import insort
from collections import Counter
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple

from . import relay
from .attempts import BY_HAND, NOT_COUNTED, SENDING, SENT
from .due import CLOCKS_DIFFER

WINDOWS = (("minute", timedelta(minutes=1)), ("hour", timedelta(hours=1)),
           ("day", timedelta(days=1)))
MINUTE, HOUR = "minute", WINDOWS[1][1]
URGENT_SHARE = 10                       # percent of a limit that only urgent mail may use
SECOND = timedelta(seconds=1)           # times are stored in whole ones
# in words; the other kinds that are counted belong to no queue
KINDS = {"forward": "forwards", "notification": "notices", BY_HAND: ""}
URGENT = "notification"                 # the only kind with urgent ones

REACHED, RESERVE, FAILURES = "reached", "reserve", "failures"
Refusal = namedtuple("Refusal", "kind words seconds", defaults=(0.0,))
Refusal.__doc__ = """Why a message may not go now.

kind     REACHED: what it may use of a limit is used, MINUTE: of that a minute; RESERVE: the urgent
         share is used, and urgent mail takes its turn; FAILURES: what has failed before has to wait
words    a reason for a run to stop
seconds  until the oldest attempt leaves the window of that limit
"""


class Limits:
    """What may still be handed over. `mail`: the section; `clock()`: the present time; `other()`:
    what is due in the other queue of mail (due.Due), or None where that is not worked off, asked
    once it matters."""

    def __init__(self, db, mail, clock, kind: str, other=lambda: None) -> None:
        self.db, self.mail, self.clock, self.kind = db, mail, clock, kind
        self._find_other = other
        self._other: list = []          # it, once it was asked for
        self.windows = [_Window(name, span, limit) for name, span in WINDOWS
                        if (limit := getattr(self.mail, f"per_{name}")) is not None]
        self._last: int | None = None   # the highest id that was counted

    def room(self, urgent: bool, ahead: bool = False, failed_before: bool = False):
        """Why one more may not go now, inside the transaction that begins it; None: it may.
        `ahead`: it would be out of its turn."""
        if not self.windows and self.mail.failures_per_hour is None:
            return None
        self._lock()
        if failed_before and (reason := failures(self.db, self.mail, self.clock())):
            return Refusal(FAILURES, reason)
        self.count()
        for window in self.windows:
            number, refusal = self._in_window(window, urgent, ahead)
            if number <= 0:
                return refusal._replace(seconds=window.seconds(self.clock()))
        return None

    def left(self, urgent: bool, seconds: float = 0) -> tuple[float, str]:
        """(how many may go within so many seconds, what ends it), for who only looks: nothing is
        locked."""
        self.count()
        found: list = [(float("inf"), "")]
        for window in self.windows:
            number, refusal = self._in_window(window, urgent, ahead=urgent, whole=True)
            if window.name == MINUTE:           # its room is waited for
                share = window.limit * URGENT_SHARE // 100
                number += (share if urgent else window.limit - share) * int(seconds / 61)
            found.append((number, refusal.words))
        return min(found, key=lambda each: each[0])

    def _in_window(self, window: _Window, urgent: bool, ahead: bool,
                   whole: bool = False) -> tuple[float, Refusal]:
        """(how many may go by this window, why not more). With `whole` the other queue's half is
        asked for although there is room yet."""
        limit, words = window.limit, f"[mail] per_{window.name} = {window.limit}"
        reserve, total = limit * URGENT_SHARE // 100, sum(window.used.values())
        urgent_used = sum(number for (_, is_urgent), number in window.used.items() if is_urgent)
        kind = MINUTE if window.name == MINUTE else REACHED
        if total >= limit:
            return 0, Refusal(kind, f"{words} is reached")
        if (urgent and urgent_used < reserve) or ahead:
            return (min(limit - total, max(reserve - urgent_used, 0)),
                    Refusal(RESERVE, f"{words}: what is reserved for urgent mail is used"))
        from_reserve = min(urgent_used, reserve)
        free = limit - reserve - (total - from_reserve)
        if window.name != MINUTE and self.kind != BY_HAND:
            half = max((limit - reserve) // 2, 1) + (from_reserve if self.kind == URGENT else 0)
            half -= sum(number for (kind, _), number in window.used.items() if kind == self.kind)
            if half < free and (whole or half <= 0) and self._others_wait():
                other = next(name for kind, name in KINDS.items() if kind != self.kind)
                return half, Refusal(REACHED, f"{words}: the rest is reserved for {other} that are "
                                     "due")
        left = reserve - from_reserve
        kept = f", except {left} reserved for urgent mail" if left else ""
        return free, Refusal(kind, f"{words} is reached{kept}")

    def _others_wait(self) -> bool:
        """Whether mail is due in the other queue."""
        self._other = self._other or [self._find_other()]
        return self._other[0] is not None and self._other[0].any()

    def _lock(self) -> None:
        """Until the end of the transaction. SQLite's has locked everything as it began."""
        if self.db.for_update and self.db.row(
                "SELECT id FROM {relay_state} WHERE id = 1" + self.db.for_update) is None:
            self.db.upsert("relay_state", {"id": 1}, {"failures": 0})

    def count(self) -> None:
        """Bring the windows up to date. Attempts from the future were begun under a clock that was
        wrong, and do not count."""
        if not self.windows:
            return
        now = self.clock()
        columns = "SELECT id, kind, urgent, outcome, began_at FROM {attempts}"
        if self._last is None:
            self._last = self.db.value("SELECT MAX(id) FROM {attempts}") or 0
            found = self.db.query(f"{columns} WHERE kind IN (:kinds) AND began_at > :since "
                                  "AND id <= :last", kinds=list(KINDS), last=self._last,
                                  since=now - self.windows[-1].span - SECOND)
        else:
            found = self.db.query(f"{columns} WHERE id > :last", last=self._last)
        future = clock.text(now + CLOCKS_DIFFER)
        self._last = max([self._last, *(row["id"] for row in found)])
        counted = [(str(row["began_at"]), (row["kind"], bool(row["urgent"]))) for row in found
                   if row["kind"] in KINDS and row["outcome"] not in NOT_COUNTED
                   and str(row["began_at"]) <= future]
        for window in self.windows:
            window.update(counted, now)


class _Window:
    """The attempts of the last minute, hour or day: in `used` how many {(kind, urgent): number}."""

    def __init__(self, name: str, span: timedelta, limit: int) -> None:
        self.name, self.span, self.limit = name, span, limit
        self.used: Counter = Counter()
        self._began: list = []          # (when, whose) of each, in order

    def update(self, counted: list, now) -> None:
        """Take in further attempts, and take out what has left the window by now."""
        for began, whose in counted:
            insort(self._began, (began, whose))
            self.used[whose] += 1
        since, number = clock.text(now - self.span - SECOND), 0
        while number < len(self._began) and self._began[number][0] <= since:
            self.used[self._began[number][1]] -= 1
            number += 1
        del self._began[:number]

    def seconds(self, now) -> float:
        """Until there is room again: until the oldest attempt has left the window."""
        first = clock.parse_any(self._began[0][0]) if self._began else None
        left = first + self.span + SECOND - now if first else self.span
        return max(left.total_seconds(), 1.0)


def used(db, mail, now) -> dict[str, tuple[int, int]]:
    """{`minute`, `hour`, `day`: (recipients in it, the limit)} of the limits that are set."""
    limits = Limits(db, mail, lambda: now, BY_HAND)
    limits.count()
    return {window.name: (sum(window.used.values()), window.limit) for window in limits.windows}


def failures(db, mail, now) -> str | None:
    """Why what failed before has to wait. What is being sent counts until more is known."""
    limit = mail.failures_per_hour
    if limit is None or limit > db.value(
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM {attempts} WHERE kind IN (:kinds) "
            "AND began_at > :since AND began_at <= :future "
            f"AND outcome IN ('retry', 'refused', '{SENDING}') LIMIT :limit) found",
            kinds=list(KINDS), since=now - HOUR - SECOND, future=now + CLOCKS_DIFFER, limit=limit):
        return None
    return f"[mail] failures_per_hour = {limit} is reached"


def holds(ctx, kind: str, other) -> list[str]:
    """Sentences: why no message of a kind, but an urgent one, goes now. `other`: see Limits."""
    found, mail = [], ctx.section("mail")
    if pause := relay.paused(ctx.db, ctx.now):
        found.append(f"The relay is paused {pause}.")
    limits = Limits(ctx.db, mail, ctx.clock, kind, other)
    number, why = limits.left(False, ctx.options.budget.total_seconds())
    if number <= 0:
        found.append(f"{why}.")
    if reason := failures(ctx.db, mail, ctx.now):
        found.append(f"{reason}: what has failed before waits.")
    return found


def count(db, now) -> None:
    """Put a message on record that was sent and belongs to no queue: an alert."""
    db.insert("attempts", kind=BY_HAND, item_id=0, began_at=now, finished_at=now, outcome=SENT)
