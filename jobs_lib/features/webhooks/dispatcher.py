"""One run over the deliveries that are due: many endpoints at once, each of them one request after
the other.

    claim      the next rows, each of another endpoint (turns.py, slots.py, servers.py)
    begin      one commit: they are `sending`, their attempts counted
    dispatch   each to a thread, which only sends (requests.py)
    collect    what is completed; whether it is the endpoint's fault (network.py)
    settle     one commit: the results

An endpoint has a few rows in its turn, and then comes after the others.
"""
from __future__ import annotations

import time
from functools import partial

from jobs_lib import clock
from jobs_lib.engines.attempts import Tried
from jobs_lib.engines.old_queue import ENDED_BY_APP, RECHECK_SECONDS, QueueClaims, until_stored
from jobs_lib.errors import DatabaseError
from jobs_lib.ports.outcomes import RETRY, SENT

from . import endpoints
from .deliveries import MARGIN, delays
from .network import Network
from .requests import Attempt, Requests
from .search import rows_of
from .servers import Servers
from .slots import Slots
from .turns import Plan

CLAIMED_TOGETHER = 20       # rows of an endpoint, where few wait


class Dispatcher:
    """The loop of one run. Only it touches the database."""

    plan: Plan

    def __init__(self, ctx, claims: QueueClaims) -> None:
        self.ctx, self.claims, self.waits = ctx, claims, delays(ctx)
        self.requests = Requests(ctx)
        self.slots = Slots()
        self.servers = Servers()
        self.network = Network(ctx, self.requests.poster)
        self.known: dict[int, dict] = {}        # {id: the endpoint}
        self.read_at: dict = {}                 # {id: when it was read, since rows are claimed}
        # of each item of the plan: rows that are claimed, the next one last
        self.claimed: dict[tuple, list] = {}
        self.completed: list[Attempt] = []      # not settled yet
        self.begun = self.done = 0
        self.total: int | None = None           # that there are to do, where it is known

    def send_due(self) -> None:
        """Send what is due, first all but what a killed run was sending, and that at the end."""
        try:
            for uncertain in (False, True):
                self.plan = Plan(self.ctx, self.claims, self.known, uncertain)
                due = self.plan.search.total
                self.total = None if due is None else self.done + due
                self._send_all()
                if not uncertain:
                    self.plan.keep()
        finally:
            self.claims.release()
        if self.ctx.limit and self.begun >= self.ctx.limit and self.claims.due(1):
            self.ctx.stop("limit")

    def _send_all(self) -> None:
        try:
            while (rows := self.claim()) or self.requests.in_flight or self.network.held:
                self.dispatch(self.begin(rows))
                self.collect()
                self.settle(self.ctx.db.batch)
        except DatabaseError:
            # what is in hand, and what comes yet, is stored all the same, as soon as it can be
            while self.requests.in_flight:
                self.completed += self.requests.completed()
            self.completed += self.network.release()
            self.settle(partial(until_stored, self.ctx))
            raise

    # Claim

    def claim(self) -> list[dict]:
        """Rows to begin now, each of another endpoint; none when the run is to stop."""
        if not self._may_go_on():
            return []
        in_flight = self.requests.in_flight
        self.slots.recount(in_flight, self.plan)
        free = self.slots.free()
        if self.ctx.limit:
            free = min(free, self.ctx.limit - self.begun)
        while True:
            self.plan.search.go_on(free)
            rows = self._pick(False, free)
            rows += self._pick(True, min(free - len(rows), self.slots.left_for_failing()))
            # with nothing in flight there is nothing to wait for before the search goes on
            if rows or in_flight or self.plan.search.queries > 0 or self.ctx.should_stop():
                return rows

    def _may_go_on(self) -> bool:
        if self.ctx.should_stop() or not (self.plan.has(False) or self.plan.has(True)):
            return False
        if self.ctx.hard_limit - self.ctx.monotonic() < self.requests.seconds + MARGIN:
            self.ctx.stop("budget")
            return False
        return True

    def _pick(self, failing: bool, most: int) -> list[dict]:
        rows: list = []
        while len(rows) < most and (row := self._next_row(failing)):
            rows.append(row)
        return rows

    def _next_row(self, failing: bool) -> dict | None:
        """The next row of the first item in turn that has one and may begin it."""
        for item in self.plan.candidates(failing, self.slots.may_have_more):
            owner, id = item
            reason = self.servers.why_skipped(owner, self.known[id])
            if reason or endpoints.is_paused(self.ctx, self.known[id], self.waits):
                self.ctx.log.event("endpoint", webhook_id=id, outcome="skipped",
                                   reason=reason or "it asked to wait")
                self.plan.drop(item)
                self.claimed.pop(item, None)        # given back at the end
            elif self.slots.may_take(owner, self.known[id]) and (row := self._take_row(item)):
                self.plan.began(item, failing)
                self.slots.take(owner, self.known[id])
                return row
        return None

    def _take_row(self, item: tuple) -> dict | None:
        """The next row of an endpoint, which is out when nothing is left. It keeps its turn until
        all that were claimed have begun: so only about as many endpoints as there are slots have
        rows in memory."""
        rows = self.claimed.setdefault(item, [])
        if rows and (self.ctx.clock() - self.read_at[item[1]]).total_seconds() >= RECHECK_SECONDS:
            if self.claims.suspended([item[0]]):
                self.claimed.pop(item)              # given back at the end
                self.plan.drop(item)
                return None
            rows[:] = self._cancel_unwanted(item[1], rows)
        while not rows:
            most = max(1, CLAIMED_TOGETHER * self.slots.number
                       // max(self.slots.number, len(self.plan.owners())))
            found = self.claims.claim(most, rows_of(*item), self.plan.uncertain)
            if not found:
                self.claimed.pop(item)
                self.plan.drop(item)
                return None
            rows += self._cancel_unwanted(item[1], found)[::-1]
        row = rows.pop()
        if not rows:
            self.claimed.pop(item)
            self.plan.over(item)
        return row

    def _cancel_unwanted(self, id: int, rows: list[dict]) -> list[dict]:
        """Cancel those of the rows that nobody waits for any more. The others."""
        self.read_at[id] = self.ctx.clock()
        found = endpoints.current(self.ctx.db, [id])            # at each turn again
        self.known[id] = {**self.known[id], **found.get(id, {})}
        reasons = endpoints.reasons_to_cancel(self.ctx.db, rows, found)

        def cancel() -> list:
            return [row["id"] for row in rows if row["id"] in reasons and self.claims.cancel(
                row, last_error=f"cancelled: {reasons[row['id']]}")]
        cancelled = self.ctx.db.batch(cancel) if reasons else []
        for row_id in cancelled:
            self.ctx.count("cancelled")
            self.ctx.log.event("delivery", id=row_id, webhook_id=id, outcome="cancelled",
                               reason=reasons[row_id])
        return [row for row in rows if row["id"] not in reasons]

    # Begin, dispatch, collect

    def begin(self, rows: list[dict]) -> list[dict]:
        """Those of the rows that are still ours, now `sending`."""
        begun = rows and self.ctx.db.batch(
            lambda: [row for row in rows if self.claims.begin(row)])
        self.begun += len(begun)
        return begun

    def dispatch(self, rows: list[dict]) -> None:
        """Send these deliveries, over the same connection as long as more are claimed."""
        for row in rows:
            item = row["user_id"], row["webhook_id"]
            self.requests.send(row, self.known[row["webhook_id"]], item in self.claimed)

    def collect(self) -> None:
        """Wait for one result or more, or until a request leaves its slot; all that can be settled
        now are in `completed`. With nothing in flight, what was held back counts as it is."""
        if not self.requests.in_flight:
            self.completed = self.network.sort([], lambda _: False) or self.network.release()
            return
        self.completed = self.requests.completed()
        for attempt in self.completed:
            self.slots.note(attempt)
            self.servers.note(attempt, time.monotonic())
        if self.completed:
            self.completed = self.network.sort(self.completed, self._others_wait)

    def _others_wait(self, owners: set) -> bool:
        """Whether anything of other owners than these is in flight or waits."""
        if any(attempt.owner not in owners for attempt in self.requests.in_flight):
            return True
        self.plan.search.go_on()
        return self.plan.has(False, owners) and not self.ctx.should_stop()

    # Settle

    def settle(self, commit) -> None:
        """Store what is completed by `commit(work)`; then first all that is counted and logged,
        then what may fail."""
        if not self.completed:
            return
        stored = commit(lambda: [self._store(attempt) for attempt in self.completed])
        completed, self.completed = self.completed, []
        disabled: list = []
        for attempt, (settled, changed, reason) in zip(completed, stored):
            if attempt.is_void:
                self.begun -= 1
                continue
            id = attempt.endpoint["id"]
            self.known[id].update(changed)
            self._report(attempt, settled)
            if reason:
                disabled.append(id)
                self.servers.skip(id)
                self.ctx.count("disabled")
                self.ctx.log.warning("endpoint disabled", webhook_id=id, reason=reason)
        for id in disabled:
            endpoints.cancel(self.ctx, id, "the endpoint was disabled")
        self.ctx.progress(self.done, self.total)

    def _store(self, attempt: Attempt) -> tuple:
        """Store one result. (as settled, what has changed of the endpoint, why it was disabled or
        ""). It may be called again after a deadlock, so it changes nothing but rows."""
        row, response, verdict = attempt.row, attempt.response, attempt.verdict
        values = {"response_status": response.status, "response_excerpt": response.excerpt or None,
                  "last_error": verdict.error, **self._next_attempt(row, verdict)}
        tried: Tried | None = Tried(response.status, verdict.error or "",
                                    int(1000 * attempt.seconds))
        if attempt.is_void:
            values, tried = {"last_attempt_at": row["last_attempt_at"]}, None
        settled = self.claims.settle(row, verdict.outcome, tried, **values)
        return settled, *endpoints.store_attempt(self.ctx, attempt, self.waits)

    def _next_attempt(self, row: dict, verdict) -> dict:
        """When, if not as the schedule says: never earlier than that."""
        wait = verdict.wait
        if wait and verdict.outcome == RETRY:
            if row["attempt"] >= len(self.waits):
                return {}                           # that was the last one
            wait = max(wait, self.waits[row["attempt"]])
        return {"next_attempt_at": self.ctx.clock() + wait} if wait else {}

    def _report(self, attempt: Attempt, settled) -> None:
        outcome = ENDED_BY_APP if settled.over else settled.meaning.counted
        row, due = attempt.row, None if settled.over else settled.next_attempt_at
        self.done += 1
        if not settled.over:
            self.ctx.count(outcome)
        self.ctx.log.event("delivery", "info" if attempt.verdict.outcome == SENT else "warning",
                           id=row["id"], webhook_id=row["webhook_id"], attempt=row["attempt"],
                           outcome=outcome, code=attempt.response.status,
                           next_attempt_at=due and clock.text(due))
