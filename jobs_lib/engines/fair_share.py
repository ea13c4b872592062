"""Nobody uses up a limit of the relay while others wait: neither an owner nor a queue.

An owner that has had half of a limit waits while others have due mail: for a minute's limit, others
in the same queue; for an hour's or a day's, others in either queue. The other queue of mail is left
as much room as it has due rows. (docs/decisions.md)
"""
from __future__ import annotations

from .mail_queues import NOTICES, waiting
from .old_queue import QueueClaims
from .relay_limits import RESERVED, WINDOWS, Asked, Refusal, Relay
from .rotation import mixed

LONGER = WINDOWS[1:]            # the windows of which runs do not wait for the next one


class FairShare:
    """Which owners wait in this run, and what the other queue is left."""

    def __init__(self, ctx, claims: QueueClaims, relay: Relay) -> None:
        self.ctx, self.claims, self.relay = ctx, claims, relay
        self.table = claims.queue.table
        self.aside: dict = {}           # {owner that has had half of a limit: the refusal}
        self.deferred: list[dict] = []  # their rows in our hands
        # the windows of which an owner gets half: not while it is alone
        self.halves: tuple = WINDOWS
        # due rows of the other queue at most; None: not counted, as most claims need not know
        self.others: int | None = None

    def claim(self, most: int) -> list[dict]:
        """The next rows: of owners that have to wait only where nobody else has any."""
        self.others = None
        for self.halves in (WINDOWS, LONGER, ()):
            owners = frozenset(filter(self.must_wait, self.aside))
            rows = self._rows_deferred(most) or self.claims.claim(most, without=owners)
            if rows or not owners:
                return rows
            if self.halves == LONGER and self._count_others():
                self.stop(self.aside[next(iter(owners))])
                break
        return []

    def defers(self, row: dict) -> bool:
        """Whether the row's owner has to wait: then the row stays in our hands."""
        if not self.must_wait(row["user_id"]):
            return False
        self.deferred.append(row)
        return True

    def must_wait(self, owner) -> bool:
        """Whether it has had half of a limit that others wait for."""
        return owner in self.aside and self.aside[owner].window in self.halves

    def asked(self, row: dict, failed_before: bool, urgent: bool) -> Asked:
        """What the relay's limits are asked for this row."""
        return Asked(failed_before, urgent, row["user_id"], self.table, self.halves, self.others)

    def leaves_more(self, refusal: Refusal) -> bool:
        """Whether the other queue needs less than was reserved for it."""
        if refusal.kind != RESERVED:
            return False
        before, self.others = self.others, self._count_others()
        return before is None or self.others < before

    def stop(self, refusal: Refusal) -> None:
        """End the run for this refusal."""
        self.ctx.stop(self.relay.in_words(refusal, self.table))

    def _rows_deferred(self, most: int) -> list[dict]:
        """Rows that were deferred and may go now, of their owners in turn."""
        whose: dict = {}
        for row in self.deferred:
            if not self.must_wait(row["user_id"]):
                whose.setdefault(row["user_id"], []).append(row)
        rows = mixed(list(whose.values()))[:most]
        self.deferred = [row for row in self.deferred if row not in rows]
        return rows

    def _count_others(self) -> int:
        """How many rows are due in the other queue of mail that may go."""
        now = self.ctx.clock()
        if self.table == NOTICES and self.relay.failures_full(now):
            return 0                    # each forward has failed before
        return waiting(self.ctx, self.table, self.relay.had_half(now))
