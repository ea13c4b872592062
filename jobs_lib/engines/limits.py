"""The relay's limits, so that all processes together stay under them.

A host discards mail over its hourly limit, sometimes after having said 250, so we count for
ourselves: the attempts on record (attempts.py) in each rolling window, in the commit that begins
the next one, under the lock of the one row of `relay_state`. A run counts once, then adds what has
begun since, and counts again when a limit seems reached.

A share of each limit is reserved for urgent mail. Of the rest either queue of mail leaves the other
half of an hour's and a day's while that one has due rows.
"""
from __future__ import annotations

from collections import Counter
from datetime import timedelta

from jobs_lib.records import namedtuple

from . import relay
from .attempts import BY_HAND, NOT_COUNTED, SENDING, SENT
from .due import CLOCKS_DIFFER

WINDOWS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
URGENT_SHARE = 10                       # percent of a limit that only urgent mail may use
SECOND = timedelta(seconds=1)           # times are stored in whole ones
KINDS = ("forward", "notification", BY_HAND)            # of attempts that are counted
MINUTE, FAILURES = "minute", "failures"
MINUTE_LONG = 61                        # seconds, until a minute's room is there again
# SQL: an attempt in a window. One from the future was begun under a clock that was wrong
IN_WINDOW = "kind IN (:kinds) AND began_at > :since AND began_at <= :future"

Refusal = namedtuple("Refusal", "limit words")
Refusal.__doc__ = """Why a message may not go now: the `limit` is `minute`, `hour`, `day`, or
FAILURES, by which what has failed before has to wait; `words` are a reason for a run to stop."""


class Limits:
    """What may still be handed over. `mail`: the section; `clock()`: the present time;
    `others_wait()`: whether mail is due in the other queue of mail, asked once it matters."""

    def __init__(self, db, mail, clock, kind: str, others_wait=lambda: False) -> None:
        self.db, self.mail, self.clock, self.kind = db, mail, clock, kind
        self.others_wait = others_wait
        self.limits = {name: limit for name in WINDOWS
                       if (limit := getattr(mail, f"per_{name}")) is not None}
        self.used: dict[str, Counter] = {}      # {window: {(kind, urgent): attempts in it}}
        self._last = 0                          # the highest id that was counted

    def room(self, urgent: bool, ahead: bool = False, failed_before: bool = False):
        """Why one more may not go now, inside the transaction that begins it; None: it may.
        `ahead`: it would be out of its turn, by the share of urgent mail alone."""
        if not self.limits and self.mail.failures_per_hour is None:
            return None
        # until the end of the transaction; SQLite's has locked everything as it began
        if self.db.for_update and not self.db.row(
                f"SELECT id FROM {{relay_state}} WHERE id = 1{self.db.for_update}"):
            self.db.upsert("relay_state", {"id": 1}, {"failures": 0})
        if failed_before and (reason := failures(self.db, self.mail, self.clock())):
            return Refusal(FAILURES, reason)
        if self.used:
            self._count_new()
        if not self.used or self.refusal(urgent, ahead):
            self.count()
        return self.refusal(urgent, ahead)

    def refusal(self, urgent: bool, ahead: bool = False) -> Refusal | None:
        """The same by what was counted, for who only looks."""
        for name, limit in self.limits.items():
            if reason := self._why_not(name, limit, urgent, ahead):
                return Refusal(name, f"[mail] per_{name} = {limit}{reason}")
        return None

    def _why_not(self, name: str, limit: int, urgent: bool, ahead: bool) -> str:
        used, reserve = self.used[name], limit * URGENT_SHARE // 100
        total = sum(used.values())
        urgent_used = sum(number for (_, is_urgent), number in used.items() if is_urgent)
        if total >= limit:
            return " is reached"
        if urgent and urgent_used < reserve:
            return ""
        if ahead:
            return ": what is reserved for urgent mail is used"
        from_reserve = min(urgent_used, reserve)
        if total - from_reserve >= limit - reserve:
            return f" is reached, except {reserve - from_reserve} reserved for urgent mail"
        if name == MINUTE or self.kind == BY_HAND:
            return ""
        mine = used[self.kind, False] + max(used[self.kind, True] - reserve, 0)
        if mine >= max((limit - reserve) // 2, 1) and self.others_wait():
            return ": the rest is reserved for the other queue of mail, which has due rows"
        return ""

    def count(self) -> None:
        """Count the attempts in each window."""
        self._last = self.db.value("SELECT MAX(id) FROM {attempts}") or 0
        for name in self.limits:
            rows = self.db.query(
                f"SELECT kind, urgent, COUNT(*) AS number FROM {{attempts}} WHERE {IN_WINDOW} "
                f"AND outcome NOT IN {NOT_COUNTED} GROUP BY kind, urgent",
                **_within(WINDOWS[name], self.clock()))
            self.used[name] = Counter({(row["kind"], bool(row["urgent"])): row["number"]
                                       for row in rows})

    def _count_new(self) -> None:
        """Add those that have begun since."""
        for row in self.db.query("SELECT id, kind, urgent, outcome FROM {attempts} "
                                 "WHERE id > :last", last=self._last):
            self._last = max(self._last, row["id"])
            if row["kind"] in KINDS and row["outcome"] not in NOT_COUNTED:
                self._add(row["kind"], bool(row["urgent"]))

    def _add(self, kind: str, urgent: bool) -> None:
        for used in self.used.values():
            used[kind, urgent] += 1

    def left(self, urgent: bool, seconds: float = 0) -> tuple[float, str]:
        """(how many may go within so many seconds, why not more), for a dry run. They count from
        now on."""
        number, minutes = 0, seconds // MINUTE_LONG
        while self.limits:
            found = self.refusal(urgent, ahead=urgent)
            if found and found.limit == MINUTE and minutes > 0:     # its room is waited for
                minutes -= 1
                self.used[MINUTE].clear()
            elif found:
                return number, found.words
            else:
                number += 1
                self._add(self.kind, urgent)
        return float("inf"), ""


def _within(span: timedelta, now) -> dict:
    """The values of IN_WINDOW."""
    return {"kinds": KINDS, "since": now - span - SECOND, "future": now + CLOCKS_DIFFER}


def used(db, mail, now) -> dict[str, tuple[int, int]]:
    """{`minute`, `hour`, `day`: (recipients in it, the limit)} of the limits that are set."""
    limits = Limits(db, mail, lambda: now, BY_HAND)
    limits.count()
    return {name: (sum(limits.used[name].values()), limit)
            for name, limit in limits.limits.items()}


def failures(db, mail, now) -> str | None:
    """Why what failed before has to wait. What is being sent counts until more is known."""
    limit = mail.failures_per_hour
    if limit is None or limit > db.value(
            f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM {{attempts}} WHERE {IN_WINDOW} "
            f"AND outcome IN ('retry', 'refused', '{SENDING}') LIMIT :limit) found", limit=limit,
            **_within(WINDOWS["hour"], now)):
        return None
    return f"[mail] failures_per_hour = {limit} is reached"


def holds(ctx, kind: str, others_wait) -> list[str]:
    """Sentences: why no message of a kind, but an urgent one, goes now."""
    found, mail = [], ctx.section("mail")
    if pause := relay.paused(ctx.db, ctx.now):
        found.append(f"The relay is paused {pause}.")
    limits = Limits(ctx.db, mail, ctx.clock, kind, others_wait)
    limits.limits.pop(MINUTE, None)         # its room is waited for
    limits.count()
    if refusal := limits.refusal(urgent=False):
        found.append(f"{refusal.words}.")
    if reason := failures(ctx.db, mail, ctx.now):
        found.append(f"{reason}: what has failed before waits.")
    return found


def count(db, now) -> None:
    """Put a message on record that was sent and belongs to no queue: an alert."""
    db.insert("attempts", kind=BY_HAND, item_id=0, began_at=now, finished_at=now, outcome=SENT)
