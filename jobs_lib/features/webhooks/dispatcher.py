"""One run over the deliveries that are due: many endpoints at once, each of them one request after
the other.

    pick       the next delivery that may begin beside those in flight (picker.py)
    begin      one commit: it is `sending`, its attempt on record
    send       by a thread, which does nothing else
    settle     one commit: what came of one that is completed, for it and its endpoint
    conclude   at the end: owners of endpoints that fail for days are warned, or these disabled

Only this thread touches the database. What is in flight when the run is killed is sent once more.
"""
from __future__ import annotations

import threading
from collections import Counter
from queue import SimpleQueue

from jobs_lib.engines.attempts import POSTPONED, RETRY, SENT
from jobs_lib.engines.queue import Work, until_stored
from jobs_lib.engines.turns import Turn
from jobs_lib.ports.http import Response

from . import endpoints
from .deliveries import MARGIN, OUR_ERROR, PAUSE, Verdict, judge, request
from .picker import Lane, Picker

ERRORS = 10                 # answered one after the other, and an endpoint is paused


class Dispatcher:
    """The loop of one run. What is in flight are rows, each with its `lane` (picker.py), and its
    `response` once it is completed."""

    def __init__(self, ctx, work: Work) -> None:
        self.ctx, self.db, self.work, self.poster = ctx, ctx.db, work, ctx.http()
        self.seconds = ctx.section("webhooks").timeout.total_seconds()
        work.needs = self.seconds + MARGIN
        self.in_flight: list[dict] = []
        self.completed: SimpleQueue = SimpleQueue()
        self.picker = Picker(work, self.in_flight)
        self.errors: Counter = Counter()        # {endpoint: errors that it answered in a row}
        self.failed: dict = {}                  # {endpoint: the Verdict that it may be disabled by}
        self.began_at = ctx.monotonic()

    def send_due(self) -> None:
        """Send what is due, each delivery once at most."""
        try:
            self._begin_more()
            while self.in_flight:
                self._settle(self._wait())
                self._begin_more()
        finally:
            # whatever has failed: what is in flight is stored as soon as it can be
            while self.in_flight:
                self._settle(self._wait())
        for id in endpoints.conclude(self.ctx, self.failed):
            self._cancel("the endpoint was disabled", "webhook_id", id)

    def _begin_more(self) -> None:
        """Begin what may go beside what is in flight."""
        # failing endpoints make a run a time limit longer at most: others wait for its end
        passed = self.ctx.monotonic() - self.began_at
        self.picker.takes_failing = passed <= self.seconds
        while self._may_go_on() and (picked := self.picker.pick()):
            lane, id = picked
            row = self._read(lane, id)
            if row and self.work.begin(row) is True:
                # read only now: what its size does to a run is on record
                row.update(lane=lane, payload=self.db.value(
                    "SELECT payload FROM {webhook_deliveries} WHERE id = :id", id=id))
                self._send(row)

    def _may_go_on(self) -> bool:
        if self.ctx.hard_limit - self.ctx.monotonic() < self.work.needs:
            self.ctx.stop("budget")
        return not self.ctx.should_stop(self.work.begun)

    def _read(self, lane: Lane, id) -> dict | None:
        """The row, if it is still to be sent; its endpoint as it is now. Where nobody waits for it,
        all that waits for this owner or endpoint is cancelled."""
        rows = self.work.usable([Turn(id, lane.owner, False, self.picker.ring)])
        if not rows:
            return None
        [row] = rows
        if reason := row["unneeded"]:
            column = "user_id" if "account" in reason else "webhook_id"
            self._cancel(reason, column, row[column])
            return None
        lane.endpoint.update(endpoints.current(self.db, [row["webhook_id"]])[row["webhook_id"]])
        return row

    def _send(self, row: dict) -> None:
        """Hand a row that has begun to a thread."""
        now = self.ctx.clock()
        self.in_flight.append(row)
        try:
            threading.Thread(target=self._post, args=(row, now), daemon=True).start()
        except RuntimeError:            # the host allows no more of them: slower, but it goes on
            self._post(row, now)

    def _post(self, row: dict, now) -> None:
        """In a thread: nothing of ours is touched but the row, and the queue of completed ones."""
        try:
            made = request(row, row["lane"].endpoint, now)
            row["response"] = made if isinstance(made, Response) else self.poster.post(made)
        except Exception as error:      # noqa: BLE001  (the main thread has it recorded)
            row["error"] = error
            row["response"] = Response(OUR_ERROR, text="it could not be sent: an error of ours")
        self.completed.put(row)

    # What came of them

    def _wait(self) -> dict:
        """The next one that is completed, which none is later than its limit in time."""
        row = self.completed.get()
        self.in_flight.remove(row)
        if "error" in row:
            self.ctx.defect(row["error"], f"delivery {row['id']}")
        return row

    def _settle(self, row: dict) -> None:
        """Store the result, then what it means for the other deliveries of the endpoint."""
        endpoint, verdict = row["lane"].endpoint, self._judge(row)
        word, known = until_stored(self.ctx, lambda: self._store(row, verdict))
        endpoint.update(known)
        self._report(row, verdict, word)
        if verdict.gone or (verdict.blames and endpoints.is_long_failing(
                endpoint, self.ctx.clock())):
            self.failed[endpoint["id"]] = verdict
        if endpoints.postpone_if_paused(self.work, endpoint) or verdict.gone:
            self.picker.drop(endpoint["id"])
        self.ctx.progress(self.work.begun - len(self.in_flight))

    def _judge(self, row: dict) -> Verdict:
        """An endpoint that has answered so many errors in a row is paused by the last of them."""
        verdict, id = judge(row["response"], self.ctx.clock()), row["webhook_id"]
        self.errors[id] = self.errors[id] + 1 if verdict.blames else 0
        is_paused = self.errors[id] >= ERRORS and not verdict.wait
        return verdict._replace(wait=PAUSE) if is_paused else verdict

    def _store(self, row: dict, verdict: Verdict) -> tuple[str, dict]:
        """(what came of it, as `settle` has it; the endpoint as it is now). It may be called again
        after a deadlock, so it changes nothing but rows."""
        response, later = row["response"], None
        if verdict.wait and verdict.outcome == RETRY:       # never earlier than the schedule says
            now = self.ctx.clock()
            later = max(now + verdict.wait, self.work.next_time(row["attempt"], now))
        word = self.work.settle(
            row, verdict.outcome, response.status, verdict.error, later=later,
            response_excerpt=response.excerpt or None)
        return word, endpoints.store_result(self.ctx, row["lane"].endpoint, verdict)

    def _report(self, row: dict, verdict: Verdict, word: str) -> None:
        if verdict.outcome == POSTPONED:
            self.ctx.stop("this host cannot send")          # the next would fare alike
        if word:
            self.ctx.count(word)
        self.ctx.log.event("delivery", "info" if verdict.outcome == SENT else "warning",
                           id=row["id"], webhook_id=row["webhook_id"], attempt=row["attempt"],
                           outcome=word or "ended by the app",
                           code=row["response"].status,
                           next_attempt_at=row["next_attempt_at"])

    def _cancel(self, reason: str, column: str, value) -> None:
        """End what waits for this owner or endpoint, but what the guard holds."""
        self.ctx.log.event("deliveries", outcome="cancelled", reason=reason)
        self.work.change(f"{column} = :value{self.work.also}", "status = 'failed', "
                         "finished_at = :now, next_attempt_at = NULL, last_error = :why",
                         counted="cancelled", value=value, now=self.ctx.clock(),
                         why=f"cancelled: {reason}", **self.work.values)
        if column == "webhook_id":
            self.picker.drop(value)
