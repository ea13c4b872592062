"""The relay's limits and its pauses: kept in the database, so that all processes together stay
under them.

A host discards mail over its hourly limit, sometimes after having said 250, so we count for
ourselves: rolling windows, in recipients, in buckets. A bucket counts as long as any part of it
lies in the window, so the true figure is never above the limit.
"""
from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from jobs_lib.database.values import fitted
from jobs_lib.records import namedtuple

from .relay_pause import LONGEST_PAUSE, pause_now

Window = namedtuple("Window", "name bucket span")          # seconds
WINDOWS = (Window("minute", 1, 60), Window("hour", 60, 3600), Window("day", 900, 86400))
MINUTE, HOUR, _ = WINDOWS
URGENT_SHARE = 10                    # percent of an hour and a day that only urgent mail may use
FIRST_PAUSE = timedelta(minutes=5)
QUOTA_PAUSE = timedelta(hours=1)
SHARES = 60                          # seconds of a bucket in which the owners' mail is counted
OURS, LONGEST_OWNER = ("queue:", "urgent:"), 40          # names that are no owner's; characters
QUEUES = {"failed_emails": "forwards", "notifications": "notices"}

FAILURES, REACHED, HALF, RESERVED = "failures", "reached", "half", "reserved"
URGENT_HALF = "half of the urgent reserve"
Refusal = namedtuple("Refusal", "kind window seconds left", defaults=(0.0, 0))
Refusal.__doc__ = """Why a message may not go now.

kind     FAILURES or REACHED: a limit is reached; HALF, URGENT_HALF: its owner has used half of a
         limit, or of what is reserved for urgent mail; RESERVED: the rest is for the other queue
window   whose limit it is
seconds  until there is room, where a limit is reached
left     recipients that are reserved for urgent mail
"""
Asked = namedtuple("Asked", "failed_before urgent owner queue halves waiting recipients",
                   defaults=(False, False, None, "", (), 0, 1))
Asked.__doc__ = """A message that room is asked for.

failed_before  it counts as failing again, until `correct` knows better: so processes together stay
               under that limit
urgent         it may use what is reserved for urgent mail
owner, queue   whose it is; its table
halves         the windows whose limits are shared with other owners: this one gets at most half
waiting        rows that are due in the other queue, which is left as much room, up to half. None:
               nobody has counted them yet, so that the answer may be RESERVED for nothing
"""
Reservation = namedtuple("Reservation", "when recipients shares failed_before")
Reservation.__doc__ = """What was counted as sent, under which names of `mail_shares`, and whether
as failing again."""


class Relay:
    """Limits and pauses over one `[mail]` section."""

    def __init__(self, db, mail) -> None:
        self.db, self.mail = db, mail
        self.limits = [(window, getattr(mail, f"per_{window.name}")) for window in WINDOWS
                       if getattr(mail, f"per_{window.name}") is not None]

    def paused(self, now) -> str | None:
        """`until 12:05 UTC: reason` while the relay is paused."""
        row = pause_now(self.db, now)
        return f"until {row['paused_until']} UTC: {row['reason']}" if row else None

    def used(self, now) -> dict[str, tuple[int, int]]:
        """{`minute`, `hour`, `day`: (recipients in it, the limit)} of the limits that are set."""
        second = int(now.timestamp())
        return {window.name: (self._sum(window, second, "recipients"), limit) for window,
                limit in self.limits}

    def count(self, now) -> None:
        """Count one recipient that we write to whatever the limits say: an alert to the
        operator."""
        for window, _ in self.limits:
            self._add(window, int(now.timestamp()), "recipients", 1)

    def pause(self, now, reason: str, quota: bool) -> datetime:
        """Pause all mail: an hour for the relay's own limit, else 5 minutes, doubled each time, up
        to an hour. Until when."""
        row = (self.db.row("SELECT failures, since FROM {relay_state} WHERE id = 1")
               or {"failures": 0, "since": None})
        doubled = FIRST_PAUSE * 2 ** min(row["failures"], 10)
        until = now + (QUOTA_PAUSE if quota else min(doubled, LONGEST_PAUSE))
        self.db.upsert("relay_state", {"id": 1}, {
            "paused_until": until, "reason": reason[:250], "since": row["since"] or now,
            "failures": row["failures"] + 1})
        return until

    def lift(self) -> bool:
        """End a pause early, once what was wrong is fixed. Whether there was one."""
        return self.db.execute("UPDATE {relay_state} SET paused_until = NULL WHERE id = 1"
                               " AND paused_until IS NOT NULL") == 1

    def works(self, now) -> None:
        """A message went through: the next failure starts with a short pause again. A pause that
        another process has begun meanwhile stays."""
        self.db.execute("UPDATE {relay_state} "
                        "SET paused_until = NULL, reason = NULL, since = NULL, failures = 0"
                        " WHERE id = 1 AND failures > 0 AND (paused_until IS NULL "
                        "OR paused_until <= :now)", now=now)

    def reserve(self, now, asked: Asked) -> Reservation | Refusal:
        """Count a message as sent now, inside a transaction, or say why not."""
        names = (_word(asked.owner), *([_of(asked.queue)] if asked.queue else ()))
        if not self.limits and self.mail.failures_per_hour is None:
            return Reservation(now, asked.recipients, names, asked.failed_before)
        if self.db.row("SELECT id FROM {relay_state} WHERE id = 1" + self.db.for_update) is None:
            self.db.upsert("relay_state", {"id": 1}, {"failures": 0})
        second = int(now.timestamp())
        if asked.failed_before and self.failures_full(now):
            return Refusal(FAILURES, HOUR, self._room(HOUR, second))
        found = []
        for window, limit in self.limits:
            refusal, reserve = self._judge(asked, window, limit, second)
            if refusal and refusal.kind == REACHED:
                return refusal
            found += [refusal] if refusal else []
            names += reserve
        if found:
            return min(found, key=lambda refusal: refusal.kind == RESERVED)
        reservation = Reservation(now, asked.recipients, names, asked.failed_before)
        self._record(reservation)
        if asked.failed_before:
            self._count_failure(now, 1)
        return reservation

    def _judge(self, asked: Asked, window: Window, limit: int,
               second: int) -> tuple[Refusal | None, tuple]:
        """(why one window has no room, or None; the names under which it counts when it uses the
        urgent reserve)."""
        # runs wait for the next one: of this nothing is reserved for a queue
        is_minute = window == MINUTE
        kept = 0 if asked.urgent and is_minute else limit * URGENT_SHARE // 100
        used, whole = self._sum(window, second, "recipients"), limit - kept
        if used + asked.recipients > limit:
            return Refusal(REACHED, window, self._room(window, second)), ()
        if used + asked.recipients <= whole // 2:           # far from any bound
            return None, ()
        owner, other = _word(asked.owner), _of(_other(asked.queue))
        reserve = f"urgent:{window.name}"
        shares = self._shares(window, second, owner, other, reserve, f"{reserve}:{owner}")
        free = whole - (used - shares[reserve]) - asked.recipients
        waiting, may_use_reserve = whole if asked.waiting is None else asked.waiting, asked.urgent
        if free < 0:
            refusal = Refusal(REACHED, window, self._room(window, second), limit - used)
        elif window in asked.halves and shares[owner] >= max(limit // 2, 1):
            refusal = Refusal(HALF, window)
        elif asked.queue and not is_minute and free < min(waiting, whole // 2 - shares[other]):
            refusal = Refusal(RESERVED, window)
            may_use_reserve &= asked.waiting is not None
        else:
            return None, ()
        if not may_use_reserve or shares[reserve] + asked.recipients > kept:
            return refusal, ()
        if shares[f"{reserve}:{owner}"] + asked.recipients <= max(kept // 2, 1):
            return None, (reserve, f"{reserve}:{owner}")
        if asked.halves and refusal.kind != HALF:
            refusal = refusal._replace(kind=URGENT_HALF)
        return refusal, ()

    def in_words(self, refusal: Refusal, queue: str) -> str:
        """The refusal as a run gives it for its reason to stop."""
        if refusal.kind == FAILURES:
            return f"[mail] failures_per_hour = {self.mail.failures_per_hour} is reached"
        limit = f"[mail] per_{refusal.window.name} = {dict(self.limits)[refusal.window]}"
        if refusal.kind == REACHED:
            kept = f", except {refusal.left} reserved for urgent mail" if refusal.left else ""
            return f"{limit} is reached{kept}"
        return limit + {
            HALF: ": one owner has used half of it while others are waiting",
            URGENT_HALF: ": one owner has used half of what is reserved for urgent mail",
            RESERVED: f": the rest is reserved for {QUEUES[_other(queue)]} that are due",
        }[refusal.kind]

    def had_half(self, now) -> set:
        """The owners that have had half of an hour's or a day's limit; those with half of a
        minute's go on in the next one."""
        second = int(now.timestamp())
        found: set = set()
        for window, limit in self.limits:
            if window != MINUTE:
                found.update(row["owner"] for row in self.db.query(
                    "SELECT owner FROM {mail_shares} WHERE bucket BETWEEN :first AND :last "
                    "GROUP BY owner"
                    " HAVING SUM(recipients) >= :half", half=max(limit // 2, 1),
                    **_reach(window._replace(bucket=SHARES), second, named=False)))
        if "users" in self.db.text_keys:
            return {owner for owner in found if owner and not owner.startswith(OURS)}
        return {int(owner) for owner in found if owner.isdecimal()}

    def failures_full(self, now) -> bool:
        """Whether what failed before has to wait."""
        limit = self.mail.failures_per_hour
        return limit is not None and self._sum(HOUR, int(now.timestamp()), "failures") >= limit

    def correct(self, reservation: Reservation, now, *, handed_over: bool = True,
                failed: bool = False) -> None:
        """Once it is known what came of it: whether the relay saw it at all, and refused it."""
        if not handed_over:
            self._record(reservation, -1)
        if failed and not reservation.failed_before:
            self._count_failure(now, 1)
        elif reservation.failed_before and not failed:
            self._count_failure(reservation.when, -1)

    def _count_failure(self, when, number: int) -> None:
        """Of refused recipients, where the host limits those."""
        if self.mail.failures_per_hour is not None:
            self._add(HOUR, int(when.timestamp()), "failures", number)

    def forget(self, now) -> None:
        """Drop the buckets that no window reaches any more."""
        second = int(now.timestamp())
        for window in WINDOWS:
            self.db.execute("DELETE FROM {mail_counters} WHERE span = :span AND (bucket < :first "
                            "OR bucket > :last)", **_reach(window, second))
        self.db.execute("DELETE FROM {mail_shares} WHERE bucket < :first OR bucket > :last",
                        **_reach(WINDOWS[-1]._replace(bucket=SHARES), second, named=False))

    def _shares(self, window: Window, second: int, *names: str) -> Counter:
        """Recipients under these names in a window, or a minute more: that only brings others' turn
        forward."""
        return Counter({row["owner"]: int(row["number"]) for row in self.db.query(
            "SELECT owner, SUM(recipients) AS number FROM {mail_shares} WHERE owner IN (:names)"
            " AND bucket BETWEEN :first AND :last GROUP BY owner", names=list(names),
            **_reach(window._replace(bucket=SHARES), second, named=False))})

    def _record(self, reservation: Reservation, sign: int = 1) -> None:
        second, number = int(reservation.when.timestamp()), sign * reservation.recipients
        for window, _ in self.limits:
            self._add(window, second, "recipients", number)
        for name in reservation.shares if self.limits else ():
            self.db.upsert("mail_shares", {"owner": name, "bucket": second // SHARES},
                           add={"recipients": number})

    def _sum(self, window: Window, second: int, column: str) -> int:
        return self.db.value(f"SELECT COALESCE(SUM({column}), 0) FROM {{mail_counters}}"
                             " WHERE span = :span AND bucket BETWEEN :first AND :last",
                             **_reach(window, second))

    def _room(self, window: Window, second: int) -> float:
        first = self.db.value("SELECT MIN(bucket) FROM {mail_counters} WHERE span = :span "
                              "AND bucket BETWEEN :first"
                              " AND :last AND (recipients > 0 OR failures > 0)",
                              **_reach(window, second))
        return 0.0 if first is None else float((first + 1) * window.bucket + window.span - second)

    def _add(self, window: Window, second: int, column: str, number: int) -> None:
        self.db.upsert("mail_counters", {"span": window.name, "bucket": second // window.bucket},
                       add={column: number})


def _other(queue: str) -> str:
    return next(name for name in QUEUES if name != queue)


def _of(queue: str) -> str:
    """What a queue's share is counted under: no owner is called so."""
    return f"queue:{queue}"


def _word(owner) -> str:
    """What an owner's share is counted under: there is room for no longer key."""
    return fitted("" if owner is None else str(owner), LONGEST_OWNER)


def _reach(window: Window, second: int, named: bool = True) -> dict:
    """The buckets that count at this second. Those a whole window ahead were written by a clock
    that was wrong."""
    span = {"span": window.name} if named else {}
    return {**span, "first": (second - window.span) // window.bucket,
            "last": (second + window.span) // window.bucket}
