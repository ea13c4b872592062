"""The relay's limits and its pauses: kept in the database, so that all processes together stay under them.

A host discards mail over its hourly limit, sometimes after having said 250, so we count for ourselves:
rolling windows, in recipients, in buckets. A bucket counts as long as any part of it lies in the window,
so the true figure is never above the limit.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import datetime, timedelta

from .. import stored

Window = namedtuple("Window", "name bucket span")          # seconds
WINDOWS = (Window("minute", 1, 60), Window("hour", 60, 3600), Window("day", 900, 86400))
HOUR = WINDOWS[1]
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=1)
QUOTA_PAUSE = timedelta(hours=1)
FAILURES = "[mail] failures_per_hour"
HALF = "one owner has had half of it, and others wait"
REST = "which are due too"
SHARES = 60                          # seconds of a bucket in which the owners' mail is counted
QUEUES = {"failed_emails": "forwards", "notifications": "notices"}


class Relay:
    """Limits and pauses over one `[mail]` section."""

    def __init__(self, db, mail) -> None:
        self.db, self.mail = db, mail
        self.limits = [(window, getattr(mail, f"per_{window.name}")) for window in WINDOWS
                       if getattr(mail, f"per_{window.name}") is not None]

    def paused(self, now) -> str | None:
        """`until 12:05 UTC: reason` while the relay rests."""
        row = self.pause_now(now)
        return f"until {row['paused_until']} UTC: {row['reason']}" if row else None

    def pause_now(self, now) -> dict | None:
        """`paused_until`, `reason`, `since` and `failures` (pauses in a row) while it rests."""
        row = self.db.row("SELECT paused_until, reason, since, failures FROM {relay_state} WHERE id = 1")
        until = row and stored.time(row["paused_until"])         # what is no time is no pause
        if not until or until <= now or until > now + LONGEST_PAUSE:        # later than any pause: the clock was wrong
            return None
        return row

    def used(self, now) -> dict[str, tuple[int, int]]:
        """{`minute`, `hour`, `day`: (recipients in it, the limit)} of the limits that are set."""
        second = int(now.timestamp())
        return {window.name: (self._sum(window, second, "recipients"), limit) for window, limit in self.limits}

    def count(self, now) -> None:
        """Count one recipient whom we write to whatever the limits say: the operator, in trouble."""
        for window, _ in self.limits:
            self._add(window, int(now.timestamp()), "recipients", 1)

    def pause(self, now, reason: str, quota: bool) -> datetime:
        """Let it rest: an hour for its own limit, else 5 minutes, doubled each time, up to an hour. Until when."""
        row = self.db.row("SELECT failures, since FROM {relay_state} WHERE id = 1") or {"failures": 0, "since": None}
        rest = QUOTA_PAUSE if quota else min(FIRST_PAUSE * 2 ** min(row["failures"], 10), LONGEST_PAUSE)
        self.db.upsert("relay_state", {"id": 1}, {"paused_until": now + rest, "reason": reason[:250],
                                                  "since": row["since"] or now, "failures": row["failures"] + 1})
        return now + rest

    def lift(self) -> bool:
        """End a pause before its time, for who has mended what was wrong. Whether there was one."""
        return self.db.execute("UPDATE {relay_state} SET paused_until = NULL WHERE id = 1"
                               " AND paused_until IS NOT NULL") == 1

    def works(self, now) -> None:
        """A message went through: the next trouble starts with a short pause again. A pause that another process has
        begun meanwhile stays."""
        self.db.execute("UPDATE {relay_state} SET paused_until = NULL, reason = NULL, since = NULL, failures = 0"
                        " WHERE id = 1 AND failures > 0 AND (paused_until IS NULL OR paused_until <= :now)", now=now)

    def reserve(self, now, failed_before: bool, recipients: int = 1, urgent: bool = False, owner: int | None = None,
                shared: bool = False, queue: str = "", waiting: int = 0) -> tuple[str, float] | None:
        """Count `recipients` as sent now, inside a transaction, or say (which limit, seconds until there is room).

        What is not urgent leaves `[mail] urgent_share` of each limit alone. What failed before is counted as failing
        again, until `succeeded` says better: so processes together stay under the limit of failures. `shared`: others
        wait, so that an `owner` gets at most half of a limit. `queue`: the message's table; `waiting` rows are due in
        the other one, and that is left as much room as it has due, up to half.
        """
        if not self.limits and self.mail.failures_per_hour is None:
            return None
        if self.db.row("SELECT id FROM {relay_state} WHERE id = 1" + self.db.for_update) is None:
            self.db.upsert("relay_state", {"id": 1}, {"failures": 0})
        second = int(now.timestamp())
        if failed_before and self.mail.failures_per_hour is not None:
            used = self._sum(HOUR, second, "failures")
            if used >= self.mail.failures_per_hour:
                return f"{FAILURES} = {self.mail.failures_per_hour} is reached", self._room(HOUR, second)
        but = None
        for window, limit in self.limits:
            whole = limit - limit * self.mail.urgent_share // 100       # but for what is kept for urgent mail
            kept, used = 0 if urgent else limit - whole, self._sum(window, second, "recipients")
            if used + recipients > limit - kept:
                besides = f" but for the {kept} that are kept for urgent mail" if kept else ""
                return f"[mail] per_{window.name} = {limit} is reached{besides}", self._room(window, second)
            if shared and used >= limit // 2 and self._share(window, second, owner) >= max(limit // 2, 1):
                but = f"[mail] per_{window.name} = {limit}: {HALF}"
            elif not but and queue and used < whole and whole - used - recipients < min(
                    waiting, self._others_share(window, whole, used + recipients, second, queue)):
                but = f"[mail] per_{window.name} = {limit}: the rest of it is for {QUEUES[_other(queue)]}, {REST}"
        if but:
            return but, 0.0
        for window, _ in self.limits:
            self._add(window, second, "recipients", recipients)
        self._add_shares(second, owner, queue, recipients)
        if failed_before and self.mail.failures_per_hour is not None:
            self._add(HOUR, second, "failures", 1)
        return None

    def _others_share(self, window: Window, whole: int, used: int, second: int, queue: str) -> int:
        """How many more the other queue may claim; not of a minute, since runs wait for the next one."""
        half = whole // 2
        if window.name == "minute" or whole - used >= half:         # there is room for that anyway
            return 0
        return half - self._share(window, second, _of(_other(queue)))

    def had_half(self, now) -> set[int]:
        """The owners that have had half of a limit."""
        second = int(now.timestamp())
        found: set = set()
        for window, limit in self.limits:
            found.update(row["owner"] for row in self.db.query(
                "SELECT owner FROM {mail_shares} WHERE bucket BETWEEN :first AND :last GROUP BY owner"
                " HAVING SUM(recipients) >= :half", half=max(limit // 2, 1),
                **_reach(window._replace(bucket=SHARES), second, named=False)))
        return {int(owner) for owner in found if owner.isdecimal()}

    def failures_full(self, now) -> bool:
        """Whether what failed before has to wait."""
        limit = self.mail.failures_per_hour
        return limit is not None and self._sum(HOUR, int(now.timestamp()), "failures") >= limit

    def give_back(self, when, recipients: int = 1, owner: int | None = None, queue: str = "") -> None:
        """What was reserved at `when` was not handed over after all."""
        for window, _ in self.limits:
            self._add(window, int(when.timestamp()), "recipients", -recipients)
        self._add_shares(int(when.timestamp()), owner, queue, -recipients)

    def succeeded(self, when) -> None:
        """What failed before, and was reserved at `when`, has not failed again."""
        if self.mail.failures_per_hour is not None:
            self._add(HOUR, int(when.timestamp()), "failures", -1)

    def failed(self, now) -> None:
        """Count a refused recipient that had not failed before, where the host limits those."""
        if self.mail.failures_per_hour is not None:
            self._add(HOUR, int(now.timestamp()), "failures", 1)

    def forget(self, now) -> None:
        """Drop the buckets that no window reaches any more."""
        second = int(now.timestamp())
        for window in WINDOWS:
            self.db.execute("DELETE FROM {mail_counters} WHERE span = :span AND (bucket < :first OR bucket > :last)",
                            **_reach(window, second))
        self.db.execute("DELETE FROM {mail_shares} WHERE bucket < :first OR bucket > :last",
                        **_reach(WINDOWS[-1]._replace(bucket=SHARES), second, named=False))

    def _share(self, window: Window, second: int, owner) -> int:
        """An owner's recipients in a window, or a queue's, or a minute more: that only brings others' turn forward."""
        return self.db.value("SELECT COALESCE(SUM(recipients), 0) FROM {mail_shares} WHERE owner = :owner"
                             " AND bucket BETWEEN :first AND :last", owner=_word(owner),
                             **_reach(window._replace(bucket=SHARES), second, named=False))

    def _add_shares(self, second: int, owner: int | None, queue: str, number: int) -> None:
        for whose in (owner, *([_of(queue)] if queue else ())) if self.limits else ():
            self.db.upsert("mail_shares", {"owner": _word(whose), "bucket": second // SHARES},
                           add={"recipients": number})

    def _sum(self, window: Window, second: int, column: str) -> int:
        return self.db.value(f"SELECT COALESCE(SUM({column}), 0) FROM {{mail_counters}}"
                             " WHERE span = :span AND bucket BETWEEN :first AND :last", **_reach(window, second))

    def _room(self, window: Window, second: int) -> float:
        first = self.db.value("SELECT MIN(bucket) FROM {mail_counters} WHERE span = :span AND bucket BETWEEN :first"
                              " AND :last AND (recipients > 0 OR failures > 0)", **_reach(window, second))
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
    return "" if owner is None else str(owner)


def _reach(window: Window, second: int, named: bool = True) -> dict:
    """The buckets that count at this second. Those a whole window ahead were written by a clock that was wrong."""
    return {**({"span": window.name} if named else {}), "first": (second - window.span) // window.bucket,
            "last": (second + window.span) // window.bucket}
