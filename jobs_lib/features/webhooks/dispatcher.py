"""One run over the deliveries that are due: many endpoints at once, each of them one request after
the other.

    pick       the next delivery that may begin beside those in flight (picker.py)
    begin      one commit: it is `sending`, its attempt on record
    send       by a thread, which does nothing else (requests.py)
    settle     one commit: what came of one that is completed, for it and its endpoint
    conclude   at the end: owners of endpoints that fail for days are warned, or these disabled

Only this thread touches the database. What is in flight when the run is killed is sent once more.
"""
from __future__ import annotations

from collections import Counter

from jobs_lib import clock
from jobs_lib.engines import guard
from jobs_lib.engines.attempts import POSTPONED, RETRY, SENT, Tried
from jobs_lib.engines.queue import LIFETIME, Work, until_stored
from jobs_lib.engines.turns import Ring, Turn, stopped_owners
from jobs_lib.features.queues import WEBHOOKS

from . import endpoints
from .deliveries import MARGIN
from .outcomes import PAUSE
from .picker import Lane, Picker
from .requests import Attempt, Requests

PAGE = 500                  # due deliveries that are read at once
MOVED = 5000                # of an endpoint that is paused, at once
OTHERS = ("SELECT id FROM {webhooks} WHERE user_id = :owner AND id NOT IN (:found) AND EXISTS ("
          "SELECT 1 FROM {webhook_deliveries} WHERE webhook_id = {webhooks}.id "
          "AND status = 'pending' AND next_attempt_at <= :now) LIMIT 100")
ERRORS = 10                 # answered one after the other, and an endpoint is paused


class Dispatcher:
    """The loop of one run."""

    def __init__(self, ctx, work: Work) -> None:
        self.ctx, self.db, self.work = ctx, ctx.db, work
        self.ring, self.requests = Ring(work), Requests(ctx)
        self.picker = Picker(self._owners(), self.requests.in_flight)
        self.met: set = set()                   # ids of deliveries that had their turn in this run
        self.errors: Counter = Counter()        # {endpoint: errors that it answered in a row}
        self.failed: dict = {}                  # {endpoint: the Verdict that it may be disabled by}
        self.not_missing = ""                   # SQL: behind a rule of rows that may be sent
        self.began_at = ctx.monotonic()

    def send_due(self) -> None:
        """Send what is due, each delivery once at most."""
        try:
            self._begin_more()
            while self.requests.in_flight:
                self._settle(self.requests.wait())
                self._begin_more()
        finally:
            # whatever has failed: what is in flight is stored as soon as it can be
            while self.requests.in_flight:
                self._settle(self.requests.wait())
        for id in endpoints.conclude(self.ctx, self.failed):
            self._cancel_queue(id)

    def _begin_more(self) -> None:
        """Begin what may go beside what is in flight."""
        # failing endpoints make a run a time limit longer at most: others wait for its end
        passed = self.ctx.monotonic() - self.began_at
        self.picker.takes_failing = passed <= self.requests.seconds
        while self._may_go_on() and (picked := self.picker.pick()):
            lane, id = picked
            row = self._read(lane, id)
            if row and self.work.begin(row) is True:
                # read only now: what its size does to a run is on record
                row["payload"] = self.db.value(
                    "SELECT payload FROM {webhook_deliveries} WHERE id = :id", id=id)
                self.requests.send(row, lane)

    def _may_go_on(self) -> bool:
        if self.ctx.hard_limit - self.ctx.monotonic() < self.requests.seconds + MARGIN:
            self.ctx.stop("budget")
        return not self.ctx.should_stop(self.work.begun)

    def _read(self, lane: Lane, id) -> dict | None:
        """The row, if it is still to be sent; its endpoint as it is now."""
        rows = self.work.usable([Turn(id, lane.owner, False, self.ring)])
        if not rows or stopped_owners(self.db, {lane.owner}) or not self._is_wanted(rows):
            return None
        lane.endpoint.update(*endpoints.current(self.db, [lane.endpoint["id"]]).values())
        return rows[0]

    # What came of them

    def _settle(self, attempt: Attempt) -> None:
        """Store the result, then what it means for the other deliveries of the endpoint."""
        endpoint = attempt.endpoint
        self._note_errors(attempt)
        settled, changed = until_stored(self.ctx, lambda: self._store(attempt))
        endpoint.update(changed)
        self._report(attempt, settled)
        if attempt.verdict.gone or (attempt.verdict.blames and endpoints.is_long_failing(
                endpoint, self.ctx.clock())):
            self.failed[endpoint["id"]] = attempt.verdict
        if not endpoint["active"]:              # the app has disabled it meanwhile
            self._cancel_queue(endpoint["id"])
        if (not endpoint["active"] or attempt.verdict.gone
                or self._postpone_if_paused(endpoint)):
            self.picker.drop(endpoint["id"])
        self.ctx.progress(self.work.begun - len(self.requests.in_flight))

    def _store(self, attempt: Attempt) -> tuple:
        """(as settled, what has changed of the endpoint). It may be called again after a deadlock,
        so it changes nothing but rows."""
        row, response, verdict, later = attempt.row, attempt.response, attempt.verdict, None
        if verdict.wait and verdict.outcome == RETRY:       # never earlier than the schedule says
            now = self.ctx.clock()
            later = max(now + verdict.wait, self.work.next_time(row["attempt"], now))
        tried = Tried(response.status, verdict.error or "", attempt.milliseconds)
        settled = self.work.settle(row, verdict.outcome, tried, later=later,
                                   response_excerpt=response.excerpt or None)
        return settled, endpoints.store_result(self.ctx, attempt.endpoint, verdict)

    def _postpone_if_paused(self, endpoint: dict) -> bool:
        """Whether it is paused; then what is due to it before the end waits as long. Of a large
        backlog the rest is moved by the next runs, which pass it by."""
        if not endpoints.is_paused(endpoint, self.ctx.clock()):
            return False
        self.work.change_waiting("webhook_id = :hook AND next_attempt_at < :until",
                                 {"next_attempt_at": endpoint["paused_until"]}, most=MOVED,
                                 hook=endpoint["id"], until=endpoint["paused_until"])
        return True

    def _is_wanted(self, rows: list[dict]) -> bool:
        """Whether somebody waits for each of the rows; the others are cancelled. What a kill
        leaves, the next run finds due and cancels."""
        reasons = endpoints.reasons_to_cancel(self.db, rows)
        if (not self.not_missing and not endpoints.MISSING.isdisjoint(reasons.values())
                and guard.held(self.ctx, guard.QUEUED, self.work.queue)):
            self._pass_by_missing()
            return False
        for reason in set(reasons.values()):
            self._cancel(reason, "id IN (:these)",
                         these=[id for id in reasons if reasons[id] == reason])
        return not reasons

    def _pass_by_missing(self) -> None:
        """So many have no owner or no endpoint that a table must be wrong: they wait, up to their
        last day."""
        self.not_missing = f" AND NOT ({WEBHOOKS.missing})"
        self.ring.also += self.not_missing
        self.ring.forget()
        if self.ctx.may_expire():
            self._cancel("its owner or endpoint is missing",
                         f"({WEBHOOKS.missing}) AND created_at < :first",
                         first=self.ctx.now - LIFETIME)

    def _cancel_queue(self, endpoint_id) -> None:
        self._cancel("the endpoint was disabled", "webhook_id = :hook", hook=endpoint_id)

    def _cancel(self, reason: str, rule: str, **which) -> None:
        """End what waits and is in the rule."""
        self.ctx.log.event("deliveries", outcome="cancelled", reason=reason)
        self.work.change_waiting(rule, {
            "status": "failed", "finished_at": self.ctx.clock(), "next_attempt_at": None,
            "last_error": f"cancelled: {reason}"}, counted="cancelled", **which)

    def _note_errors(self, attempt: Attempt) -> None:
        """An endpoint that has answered so many errors in a row is paused by the last of them."""
        id, verdict = attempt.endpoint["id"], attempt.verdict
        self.errors[id] = self.errors[id] + 1 if verdict.blames else 0
        if self.errors[id] >= ERRORS and not verdict.wait:
            attempt.verdict = verdict._replace(wait=PAUSE)

    def _report(self, attempt: Attempt, settled) -> None:
        row, outcome, due = attempt.row, attempt.verdict.outcome, settled.next_attempt_at
        word = "retried" if settled.status == "pending" else settled.status
        if outcome == POSTPONED:
            word = "postponed"
            self.ctx.stop("this host cannot send")          # the next would fare alike
        if not settled.over:
            self.ctx.count(word)
        self.ctx.log.event("delivery", "info" if outcome == SENT else "warning", id=row["id"],
                           webhook_id=row["webhook_id"], attempt=row["attempt"],
                           outcome="ended by the app" if settled.over else word,
                           code=attempt.response.status, next_attempt_at=due and clock.text(due))

    # What is due

    def _owners(self):
        """The Lanes of each owner that has due deliveries, from the one behind the last turn
        on."""
        while turns := self.ring.take(1):
            [turn] = turns
            self.ring.left.discard(turn.id)
            if turn.owner in self.ring.passed:          # a lap is over
                self.ring.forget()
            else:
                self.ring.passed.add(turn.owner)
                yield self._lanes(turn.owner)
        self.picker.is_whole = True

    def _lanes(self, owner) -> list[Lane]:
        """Those of an owner, the longest due first; of more than a page, with some of its other
        endpoints."""
        whose = "user_id IS NULL" if owner is None else "user_id = :owner"
        rows = self._wanted(whose, owner)
        found: dict = {}
        for row in rows:
            found.setdefault(row["webhook_id"], []).append(row["id"])
        if is_more := len(rows) == PAGE:
            found.update((row["id"], []) for row in self.db.query(
                OTHERS, owner=owner, found=list(found), now=self.ctx.now))
        rule = f"webhook_id = :id AND {whose}"
        lanes = [Lane(owner, endpoint, self._ids(found[id], is_more, rule, id=id, owner=owner))
                 for id, endpoint in endpoints.current(self.db, found).items()
                 if endpoint["active"] and not self._postpone_if_paused(endpoint)]
        return [lane for lane in lanes if lane.next is not None]

    def _ids(self, ids: list, is_more: bool, rule: str, **values):
        """These deliveries; then, if there may be more, page by page what else is due by the rule.
        Each once in a run."""
        while ids or is_more:
            self.met.update(ids)
            yield from ids
            ids = [row["id"] for row in (self._due(rule, **values) if is_more else ())
                   if row["id"] not in self.met]
            is_more = bool(ids)

    def _wanted(self, whose: str, owner) -> list[dict]:
        """The first due deliveries of an owner that somebody waits for."""
        while True:
            rows = self._due(whose, owner=owner)
            if self._is_wanted(rows):
                return rows
            if self.ctx.should_stop():
                return []

    def _due(self, rule: str, **values) -> list[dict]:
        due, bound = self.work.due_rule()
        return self.db.query("SELECT id, user_id, webhook_id FROM {webhook_deliveries} "
                             f"WHERE status = 'pending' AND {due} AND {rule}{self.not_missing} "
                             f"ORDER BY next_attempt_at, id LIMIT {PAGE}", **bound, **values)
