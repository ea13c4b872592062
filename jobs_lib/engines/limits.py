"""The relay's limits, so that all processes together stay under them.

A host discards mail over its hourly limit, sometimes after having said 250, so we count for
ourselves: the attempts on record (attempts.py) in each rolling window, in the commit that begins
the next one, under the lock of the one row of `relay_state`. A run counts a window once, and after
that only attempts with a higher id, less those that have left it.

A share of each limit is reserved for urgent mail. Of the rest either queue of mail leaves the other
half of an hour's and a day's while that one has due rows.
"""
from __future__ import annotations

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

REACHED, RESERVE, HALF, FAILURES = "reached", "reserve", "half", "failures"
Refusal = namedtuple("Refusal", "kind words window seconds", defaults=("", 0.0))
Refusal.__doc__ = """Why a message may not go now.

kind     REACHED: a limit is; RESERVE: the urgent share is used, and urgent mail takes its turn;
         HALF: the rest is for the other queue; FAILURES: what has failed before has to wait
words    a reason for a run to stop
window   whose limit it is
seconds  until the limit has room again; 0 where it is not the limit itself
"""


class Limits:
    """What one run may still hand over. `other()`: what is due in the other queue of mail
    (due.Due), or None where that is not worked off; asked once it matters."""

    def __init__(self, ctx, kind: str, other=lambda: None) -> None:
        self.ctx, self.db, self.kind, self._find_other = ctx, ctx.db, kind, other
        self._other: list = []          # it, once it was asked for
        self.mail = ctx.section("mail")
        self._windows = [_Window(ctx.db, name, span, limit) for name, span in WINDOWS
                         if (limit := getattr(self.mail, f"per_{name}")) is not None]
        self._last: int | None = None   # the highest id that was counted

    def room(self, urgent: bool, ahead: bool = False, failed_before: bool = False):
        """Why one more may not go now, inside the transaction that begins it; None: it may.
        `ahead`: it would be out of its turn."""
        if not self._windows and self.mail.failures_per_hour is None:
            return None
        self._lock()
        if failed_before and failures_full(self.db, self.mail, self.ctx.clock()):
            return Refusal(FAILURES, f"[mail] failures_per_hour = {self.mail.failures_per_hour} is "
                           "reached")
        self._count()
        for window in self._windows:
            number, refusal = self._in_window(window, urgent, ahead)
            if number <= 0:
                is_full = refusal.kind == REACHED
                return refusal._replace(window=window.name,
                                        seconds=self._seconds(window) if is_full else 0.0)
        return None

    def left(self, urgent: bool, seconds: float = 0) -> tuple[float, str]:
        """(how many may go within so many seconds, what ends it), for who only looks: nothing is
        locked."""
        self._count()
        found: list = [(float("inf"), "")]
        for window in self._windows:
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
        if total >= limit:
            return 0, Refusal(REACHED, f"{words} is reached")
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
                return half, Refusal(HALF, f"{words}: the rest is reserved for {other} that are "
                                     "due")
        left = reserve - from_reserve
        kept = f", except {left} reserved for urgent mail" if left else ""
        return free, Refusal(REACHED, f"{words} is reached{kept}")

    def _others_wait(self) -> bool:
        """Whether mail is due in the other queue."""
        self._other = self._other or [self._find_other()]
        return self._other[0] is not None and self._other[0].any()

    def _lock(self) -> None:
        """Until the end of the transaction. SQLite's has locked everything as it began."""
        if self.db.for_update and self.db.row(
                "SELECT id FROM {relay_state} WHERE id = 1" + self.db.for_update) is None:
            self.db.upsert("relay_state", {"id": 1}, {"failures": 0})

    def _count(self) -> None:
        now, future = self.ctx.clock(), clock.text(self.ctx.clock() + CLOCKS_DIFFER)
        if self._last is None:
            self._last = self.db.value("SELECT MAX(id) FROM {attempts}") or 0
        for row in self.db.query("SELECT id, kind, urgent, outcome, began_at FROM {attempts} "
                                 "WHERE id > :last", last=self._last):
            self._last = max(self._last, row["id"])
            if row["kind"] in KINDS and row["outcome"] not in NOT_COUNTED:
                for window in self._windows:
                    window.add(row, future)
        for window in self._windows:
            window.move(now, future)

    def _seconds(self, window: _Window) -> float:
        """Until there is room again: until the oldest attempt has left the window."""
        first = clock.parse_any(window.oldest())
        left = first + window.span + SECOND - self.ctx.clock() if first else window.span
        return max(left.total_seconds(), 1.0)


class _Window:
    """How many attempts were begun in the last minute, hour or day: {(kind, urgent): number}.
    Those from the future were begun under a clock that was wrong, and do not count."""

    def __init__(self, db, name: str, span: timedelta, limit: int) -> None:
        self.db, self.name, self.span, self.limit = db, name, span, limit
        self.used: Counter = Counter()
        self._since = ""

    def add(self, row: dict, future: str) -> None:
        """One attempt more."""
        if self._since and self._since < str(row["began_at"]) <= future:
            self.used[row["kind"], bool(row["urgent"])] += 1

    def move(self, now, future: str) -> None:
        """Take out what has left the window by now; at first, count it."""
        since = clock.text(now - self.span - SECOND)
        if not self._since:
            self.used = self._between(since, future)
        elif since > self._since:
            self.used -= self._between(self._since, since)
        self._since = max(since, self._since)

    def oldest(self):
        """When the oldest one that counts was begun, or None."""
        return self.db.value("SELECT MIN(began_at) FROM {attempts} WHERE kind IN (:kinds) AND "
                             "began_at > :since AND outcome NOT IN (:not)", since=self._since,
                             kinds=list(KINDS), **{"not": NOT_COUNTED})

    def _between(self, since: str, until: str) -> Counter:
        return Counter({(row["kind"], bool(row["urgent"])): row["number"] for row in self.db.query(
            "SELECT kind, urgent, COUNT(*) AS number FROM {attempts} WHERE kind IN (:kinds) "
            "AND began_at > :since AND began_at <= :until AND outcome NOT IN (:not) "
            "GROUP BY kind, urgent", kinds=list(KINDS), since=since, until=until,
            **{"not": NOT_COUNTED})})


def used(db, mail, now) -> dict[str, tuple[int, int]]:
    """{`minute`, `hour`, `day`: (recipients in it, the limit)} of the limits that are set."""
    found = {}
    for name, span in WINDOWS:
        limit = getattr(mail, f"per_{name}")
        if limit is not None:
            window = _Window(db, name, span, limit)
            window.move(now, clock.text(now + CLOCKS_DIFFER))
            found[name] = (sum(window.used.values()), limit)
    return found


def failures_full(db, mail, now) -> bool:
    """Whether what failed before has to wait. What is being sent counts until more is known."""
    limit = mail.failures_per_hour
    return limit is not None and limit <= db.value(
        "SELECT COUNT(*) FROM (SELECT 1 AS one FROM {attempts} WHERE kind IN (:kinds) "
        "AND began_at > :since AND began_at <= :future "
        f"AND outcome IN ('retry', 'refused', '{SENDING}') LIMIT :limit) found",
        kinds=list(KINDS), since=now - HOUR - SECOND, future=now + CLOCKS_DIFFER, limit=limit)


def holds(ctx, kind: str, other) -> list[str]:
    """Sentences: why no message of a kind, but an urgent one, goes now. `other`: see Limits."""
    mail, found = ctx.section("mail"), []
    if pause := relay.paused(ctx.db, ctx.now):
        found.append(f"The relay is paused {pause}.")
    number, why = Limits(ctx, kind, other).left(False, ctx.options.budget.total_seconds())
    if number <= 0:
        found.append(f"{why}.")
    if failures_full(ctx.db, mail, ctx.now):
        found.append(f"[mail] failures_per_hour = {mail.failures_per_hour} is reached: what has "
                     "failed before waits.")
    return found


def count(db, now, outcome: str = SENT) -> None:
    """Put a message on record that belongs to no queue: an alert, or one sent by hand."""
    db.insert("attempts", kind=BY_HAND, item_id=0, began_at=now, finished_at=now, outcome=outcome)
