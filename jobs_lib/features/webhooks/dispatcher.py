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

from jobs_lib.engines.attempts import POSTPONED, RETRY, SENT
from jobs_lib.engines.queue import Work, until_stored
from jobs_lib.engines.turns import Ring, Turn

from . import endpoints
from .deliveries import MARGIN
from .outcomes import PAUSE, Verdict, judge
from .picker import Lane, Picker
from .requests import Attempt, Requests

PAGE = 20                   # due deliveries of an owner, or of an endpoint, that are read at once
ERRORS = 10                 # answered one after the other, and an endpoint is paused
OTHERS = ("SELECT id FROM {webhooks} WHERE user_id = :owner AND id NOT IN (:found) AND EXISTS ("
          "SELECT 1 FROM {webhook_deliveries} WHERE webhook_id = {webhooks}.id "
          "AND status = 'pending' AND next_attempt_at <= :now) LIMIT 100")


class Dispatcher:
    """The loop of one run."""

    def __init__(self, ctx, work: Work) -> None:
        self.ctx, self.db, self.work = ctx, ctx.db, work
        self.ring, self.requests = Ring(work), Requests(ctx)
        work.needs = self.requests.seconds + MARGIN
        self.picker = Picker(self._owners(), self.requests.in_flight)
        self.errors: Counter = Counter()        # {endpoint: errors that it answered in a row}
        self.failed: dict = {}                  # {endpoint: the Verdict that it may be disabled by}
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
            self._cancel("the endpoint was disabled", "webhook_id", id)

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
        if self.ctx.hard_limit - self.ctx.monotonic() < self.work.needs:
            self.ctx.stop("budget")
        return not self.ctx.should_stop(self.work.begun)

    def _read(self, lane: Lane, id) -> dict | None:
        """The row, if it is still to be sent; its endpoint as it is now. Where nobody waits for it,
        all that waits for this owner or endpoint is cancelled."""
        rows = self.work.usable([Turn(id, lane.owner, False, self.ring)])
        if not rows:
            return None
        [row] = rows
        known = endpoints.named(self.db, rows)
        if reason := endpoints.reasons_to_cancel(self.db, rows, known).get(row["id"]):
            column = "user_id" if reason == endpoints.NO_ACCOUNT else "webhook_id"
            self._cancel(reason, column, row[column])
            return None
        lane.endpoint.update(known[row["webhook_id"]])
        return row

    # What came of them

    def _settle(self, attempt: Attempt) -> None:
        """Store the result, then what it means for the other deliveries of the endpoint."""
        endpoint, verdict = attempt.lane.endpoint, self._judge(attempt)
        status, changed = until_stored(self.ctx, lambda: self._store(attempt, verdict))
        endpoint.update(changed)
        self._report(attempt, verdict, status)
        if verdict.gone or (verdict.blames and endpoints.is_long_failing(
                endpoint, self.ctx.clock())):
            self.failed[endpoint["id"]] = verdict
        if not endpoint["active"]:              # the app has disabled it meanwhile
            self._cancel("the endpoint was disabled", "webhook_id", endpoint["id"])
        elif self._postpone_if_paused(endpoint) or verdict.gone:
            self.picker.drop(endpoint["id"])
        self.ctx.progress(self.work.begun - len(self.requests.in_flight))

    def _judge(self, attempt: Attempt) -> Verdict:
        """An endpoint that has answered so many errors in a row is paused by the last of them."""
        verdict, id = judge(attempt.response, self.ctx.clock()), attempt.lane.endpoint["id"]
        self.errors[id] = self.errors[id] + 1 if verdict.blames else 0
        is_paused = self.errors[id] >= ERRORS and not verdict.wait
        return verdict._replace(wait=PAUSE) if is_paused else verdict

    def _store(self, attempt: Attempt, verdict: Verdict) -> tuple[str, dict]:
        """(the row's status, as `settle` has it; what has changed of the endpoint). It may be
        called again after a deadlock, so it changes nothing but rows."""
        row, response, later = attempt.row, attempt.response, None
        if verdict.wait and verdict.outcome == RETRY:       # never earlier than the schedule says
            now = self.ctx.clock()
            later = max(now + verdict.wait, self.work.next_time(row["attempt"], now))
        status = self.work.settle(
            row, verdict.outcome, response.status, verdict.error, later=later,
            response_excerpt=response.excerpt or None)
        return status, endpoints.store_result(self.ctx, attempt.lane.endpoint, verdict)

    def _report(self, attempt: Attempt, verdict: Verdict, status: str) -> None:
        row, word = attempt.row, "retried" if status == "pending" else status
        if verdict.outcome == POSTPONED:
            word = "postponed"
            self.ctx.stop("this host cannot send")          # the next would fare alike
        if status:
            self.ctx.count(word)
        self.ctx.log.event("delivery", "info" if verdict.outcome == SENT else "warning",
                           id=row["id"], webhook_id=row["webhook_id"], attempt=row["attempt"],
                           outcome=word if status else "ended by the app",
                           code=attempt.response.status)

    def _postpone_if_paused(self, endpoint: dict) -> bool:
        """Whether it is paused; then what is due to it before the end waits as long. Of a large
        backlog the rest is moved by the next runs, which pass it by."""
        if not endpoints.is_paused(endpoint, self.ctx.clock()):
            return False
        self.work.change("webhook_id = :hook AND next_attempt_at < :until",
                         "next_attempt_at = :until", hook=endpoint["id"],
                         until=endpoint["paused_until"])
        return True

    def _cancel(self, reason: str, column: str, value) -> None:
        """End what waits for this owner or endpoint, but what the guard holds."""
        self.ctx.log.event("deliveries", outcome="cancelled", reason=reason)
        self.work.change(f"{column} = :value{self.work.also}", "status = 'failed', "
                         "finished_at = :now, next_attempt_at = NULL, last_error = :why",
                         counted="cancelled", value=value, now=self.ctx.clock(),
                         why=f"cancelled: {reason}", **self.work.values)
        if column == "webhook_id":
            self.picker.drop(value)

    # What is due

    def _owners(self):
        """The Lanes of each owner that has due deliveries, from the one behind the last turn
        on."""
        while turns := self.ring.take(1):
            owner = turns[0].owner
            self.ring.left.clear()
            if owner not in self.ring.passed:
                self.ring.passed.add(owner)
                yield self._lanes(owner)
        self.picker.is_whole = True

    def _lanes(self, owner) -> list[Lane]:
        """Those of an owner, the longest due first; of more than a page, with some of its other
        endpoints."""
        whose = "user_id IS NULL" if owner is None else "user_id = :owner"
        rows = self._due(whose, owner=owner)
        found: dict = {}
        for row in rows:
            found.setdefault(row["webhook_id"], []).append(row)
        if is_more := len(rows) == PAGE:
            found.update((row["id"], []) for row in self.db.query(
                OTHERS, owner=owner, found=list(found), now=self.ctx.now))
        known, rule = endpoints.current(self.db, found), f"webhook_id = :id AND {whose}"
        return [Lane(owner, endpoint, self._ids(due, rule, id=id, owner=owner) if is_more
                     else [row["id"] for row in due])
                for id, due in found.items() if not self._postpone_if_paused(
                    endpoint := known.get(id, {**endpoints.MISSING, "id": id}))]

    def _ids(self, rows: list[dict], rule: str, **values):
        """These deliveries, then page by page what else is due by the rule: behind the last one,
        since bad ones stay where they are."""
        rows = rows or self._due(rule, **values)
        rule += " AND next_attempt_at >= :time AND (next_attempt_at > :time OR id > :last)"
        while rows:
            yield from (row["id"] for row in rows)
            values.update(time=rows[-1]["next_attempt_at"], last=rows[-1]["id"])
            rows = self._due(rule, **values)

    def _due(self, rule: str, **values) -> list[dict]:
        due, bound = self.work.due_rule()
        return self.db.query("SELECT id, webhook_id, next_attempt_at FROM {webhook_deliveries} "
                             f"WHERE status = 'pending' AND {due} AND {rule} "
                             f"ORDER BY next_attempt_at, id LIMIT {PAGE}", **bound, **values)
