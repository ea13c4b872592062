"""One run over the deliveries that are due: many endpoints at once, each of them one request after the other.

Threads only send. Everything else is the main thread's: it claims, marks rows `sending` in a commit, hands them out,
and stores the answers in the commit that begins the next ones. An endpoint is worked off a few rows at a time, and
then stands behind the others.

Dead hosts must not stand in the way. One that kept us waiting for nothing is left alone for the rest of the run.
Endpoints that have been failing get one slot in eight as long as there are others, and no more of them are begun once
a host was found dead: so they make a run one time limit longer at most, and the next one goes on with the rest. Among
themselves each owner's comes in turn, and of an owner the one that was tried longest ago: whoever answers again is
heard, however many dead ones stand beside it.

Nor is an endpoint blamed for a network of ours that is down. Until somebody was reached, whoever was not is held back;
when that goes for HOSTS hosts, the run stops and gives their attempts back, and the next one begins with others.
"""
from __future__ import annotations

import time
from collections import Counter, namedtuple
from datetime import timedelta
from queue import Empty, SimpleQueue

from .. import clock
from ..errors import DatabaseError
from ..ports.http import ANSWERED, FAILED, OURS, TIMEOUT, UNSENDABLE, Response
from ..shards import is_mine
from . import webhook_endpoints
from .queue import Worker
from .webhooks import MARGIN, delays, endpoints, gone, judge, last_tries, request

TURN = 20                   # rows of an endpoint that are claimed together
PER_HOST = 2
FAILING_SHARE = 8           # one slot in so many is for endpoints that have been failing, while others wait
DEAD_AFTER = 1.0            # seconds: whoever gave no answer and took so long for it is dead for this run
LATE = 0.5                  # seconds past its limit after which a request is given up: its look-up hangs
HOSTS = 10                  # so many that were not reached, and nobody that was: our network is down
AGAIN = timedelta(minutes=1)                # after which what was given back is due
NAMES = {"sent": "delivered", "retry": "retried", "back": "given_back"}
UNKNOWN = {"host": "", "failing_since": None, "user_id": None}

# disabled: why the endpoint was; changed: what else of it
Stored = namedtuple("Stored", "settled changed disabled")
Flight = namedtuple("Flight", "row endpoint started")
Result = namedtuple("Result", "row endpoint response verdict ours")       # ours: the endpoint is not to blame for it


def run(ctx, worker: Worker, counts: dict) -> None:
    """Send what is due, first all but what a killed run was sending, and that at the end."""
    going = Round(ctx, worker, counts)
    try:
        for uncertain in (False, True):
            going.all(uncertain)
    finally:
        worker.release()


class Round:
    """The loop. `flying` are the requests that threads are sending."""

    def __init__(self, ctx, worker: Worker, counts: dict) -> None:
        self.ctx, self.worker, self.counts = ctx, worker, counts
        webhooks = ctx.section("webhooks")
        self.slots, self.seconds, self.waits = webhooks.concurrency, webhooks.timeout.total_seconds(), delays(ctx)
        self.poster = ctx.http()
        self.answers: SimpleQueue = SimpleQueue()
        self.flying: dict[int, Flight] = {}
        self.waiting: dict[int, list] = {}          # of each endpoint: rows that are claimed, the next one last
        self.known: dict[int, dict] = {}
        self.plan: list[int] = []                   # endpoints with due rows, the next one first
        self.failing: list[int] = []                # those of them that have been failing
        self.resting: set = set()                   # endpoints that asked for it, or are disabled
        self.dead: set = set()                      # hosts
        self.unreached: set = set()                 # hosts that it may not be the fault of
        self.held: list = []                        # results of those, until we know
        self.reached = self.down = False            # somebody; our network
        self.done = self.begun = 0
        self.total = worker.count_due()

    def all(self, uncertain: bool) -> None:
        """Send everything that is due and, if `uncertain`, was lost in flight; or else all but that."""
        due = self.worker.parts("webhook_id", uncertain)
        self.known.update(endpoints(self.ctx.db, due))
        # One worker has all endpoints of a host, so that the limits for a host and an endpoint hold across workers.
        due = [id for id in due if is_mine(self.ctx.shard, self._endpoint(id)["host"])]
        self.failing = self._in_turn([id for id in due if self._endpoint(id)["failing_since"]])
        self.plan = [id for id in due if not self._endpoint(id)["failing_since"]]
        results: list = []
        try:
            while True:
                rows = self._next(uncertain) if self._may_go_on() else []
                if not (rows or results or self.flying):
                    if not self.held:
                        return
                    results, self.held = self.held, []      # too few to tell
                self._commit(results, rows)
                results = self._told(self._wait()) if self.flying else []
        except DatabaseError:
            self._save(results)
            raise

    def _told(self, results: list) -> list:
        """The results that can be stored now, those held back among them once we know what they mean."""
        if any(result.response.reached and result.verdict.outcome != "back" for result in results):
            self.reached = True
        if not (self.reached or self.down):
            self.held += [result for result in results if result.response.reached is False]
            results = [result for result in results if result.response.reached is not False]
            if len({result.endpoint["host"] for result in self.held}) < HOSTS:
                return results
            self.down = True
            self.ctx.stop("the network is down")
            self.ctx.log.warning("network down", hosts=HOSTS, reason=self.held[-1].response.text)
        results, self.held = self.held + results, []
        return [self._given_back(result) if self.down and result.response.reached is False else result
                for result in results]

    @staticmethod
    def _given_back(result: Result) -> Result:
        return result._replace(verdict=result.verdict._replace(outcome="back"), ours=True)

    def _may_go_on(self) -> bool:
        if not (self.plan or self.failing) or self.ctx.should_stop():
            return False
        if self.ctx.hard_limit - self.ctx.monotonic() < self.seconds + MARGIN:
            self.ctx.stop("budget")
            return False
        return True

    def _endpoint(self, id: int) -> dict:
        return self.known.get(id) or UNKNOWN

    def _in_turn(self, ids: list) -> list:
        """The one tried longest ago first, and one of each owner before a second of any."""
        tried = last_tries(self.ctx.db, ids, self.ctx.now)
        nth: Counter = Counter()
        ranked = []
        for id in sorted(ids, key=lambda id: tried.get(id, "")):        # those not tried stay as they were
            owner = self._endpoint(id)["user_id"]
            ranked.append((nth[owner], id))
            nth[owner] += 1
        return [id for _, id in sorted(ranked, key=lambda pair: pair[0])]

    # Which rows are next

    def _next(self, uncertain: bool) -> list:
        """Rows to begin now, each of another endpoint."""
        busy = {flight.endpoint["id"] for flight in self.flying.values()}
        hosts = Counter(flight.endpoint["host"] for flight in self.flying.values() if flight.endpoint["host"])
        free = self.slots - len(self.flying)
        if self.ctx.limit:
            free = min(free, self.ctx.limit - self.begun)
        chosen = self._pick(self.plan, free, busy, hosts, uncertain)
        share = free - len(chosen)
        if self.plan:                               # others wait, or have more
            share = min(share, max(1, self.slots // FAILING_SHARE) - sum(id in busy for id in self.failing))
        return chosen + self._pick(self.failing, share, busy, hosts, uncertain)

    def _pick(self, plan: list, most: int, busy: set, hosts: Counter, uncertain: bool) -> list:
        chosen: list = []
        for id in list(plan):
            if len(chosen) >= most:
                break
            endpoint = self._endpoint(id)
            if (id in self.resting or endpoint["host"] in self.dead or endpoint["host"] in self.unreached
                    or (endpoint["failing_since"] and self.dead)):
                plan.remove(id)                     # not in this run
                self.waiting.pop(id, None)          # given back at its end
            elif id not in busy and hosts[endpoint["host"]] < PER_HOST:
                row = self._row(plan, id, uncertain)
                if row:
                    chosen.append(row)
                    busy.add(id)
                    hosts[self._endpoint(id)["host"] or id] += 1
        return chosen

    def _row(self, plan: list, id: int, uncertain: bool) -> dict | None:
        """The next row of an endpoint, which is out when nothing is left. It keeps its place until its turn is over:
        so only about as many endpoints as there are slots have rows in memory."""
        rows = self.waiting.setdefault(id, [])
        while not rows:
            claimed = self.worker.claim(TURN, ("webhook_id = :part", {"part": id}), uncertain)
            if not claimed:
                plan.remove(id)
                return None
            rows += self._alive(id, claimed)[::-1]
        row = rows.pop()
        if not rows:
            plan.remove(id)
            plan.append(id)
        return row

    def _alive(self, id: int, rows: list) -> list:
        """Those of the rows that somebody waits for; the others are cancelled."""
        found = endpoints(self.ctx.db, [id])        # at each turn anew
        self.known.update(found)
        cancelled = gone(self.ctx.db, rows, found)

        def work():
            for row in rows:
                if row["id"] in cancelled:
                    self.worker.cancel(row, last_error=f"cancelled: {cancelled[row['id']]}")
        if cancelled:
            self.ctx.db.batch(work)
            self._count("cancelled", len(cancelled))
            for row_id, reason in cancelled.items():
                self.ctx.log.event("delivery", id=row_id, webhook_id=id, outcome="cancelled", reason=reason)
        return [row for row in rows if row["id"] not in cancelled]

    # The database

    def _commit(self, results: list, rows: list) -> None:
        """One commit: what came, and the start of what is next. Then these are handed to threads."""
        stored: list = []
        begun: list = []

        def work():
            stored[:] = [self._settle(result) for result in results]
            off = {result.endpoint["id"] for result, one in zip(results, stored) if one.disabled}
            begun[:] = [row for row in rows if row["webhook_id"] not in off and self.worker.begin(row)]
        if results or rows:
            self.ctx.db.batch(work)
        for row in begun:
            self._start(row)
        for result, one in zip(results, stored):
            self.known[result.endpoint["id"]].update(one.changed)
            self._report(result, one.settled)
            if one.disabled:
                self._off(result.endpoint["id"], one.disabled)

    def _off(self, id: int, reason: str) -> None:
        self.resting.add(id)
        self.ctx.log.warning("endpoint disabled", webhook_id=id, reason=reason)
        self._count("disabled", 1)
        self._count("cancelled", webhook_endpoints.cancel(self.ctx, id, "the endpoint was disabled"))

    def _settle(self, result: Result) -> Stored:
        """Store one answer. It may be called again after a deadlock, so it changes nothing but rows."""
        row, endpoint, _, verdict, _ = result
        now, changed, disabled = self.ctx.clock(), {}, ""
        until = now + verdict.wait if verdict.wait else None
        stored = {"response_status": result.response.status, "response_excerpt": result.response.excerpt or None,
                  "last_error": verdict.error}
        if until and row["attempt"] < len(self.waits):
            stored["next_attempt_at"] = max(until, now + self.waits[row["attempt"]])        # never early
        if verdict.outcome == "back":               # and its others too, so that the next run begins with someone else
            row = {**row, "next_attempt_at": None}  # which may be no time at all
            stored["next_attempt_at"] = now + AGAIN
            webhook_endpoints.rests(self.ctx, endpoint, self.waits, now + AGAIN)
        settled = self.worker.settle(row, verdict.outcome, **stored)
        if verdict.outcome == "done":
            changed = webhook_endpoints.works(self.ctx.db, endpoint)
        elif not result.ours:
            if until:
                webhook_endpoints.rests(self.ctx, endpoint, self.waits, until)
            changed, reason = webhook_endpoints.fails(self.ctx, endpoint)
            reason = "it answered 410 Gone" if verdict.gone else reason
            disabled = reason if reason and webhook_endpoints.disable(self.ctx, endpoint, reason) else ""
        return Stored(settled, changed, disabled)

    def _report(self, result: Result, settled) -> None:
        self.done += 1
        name, due, code = NAMES.get(settled.outcome, settled.outcome), settled.next_attempt_at, result.response.status
        self._count(name, 1)
        self.ctx.log.event("delivery", "info" if name == "delivered" else "warning", id=result.row["id"],
                           webhook_id=result.row["webhook_id"], attempt=result.row["attempt"], outcome=name,
                           code=code, next_attempt_at=due and clock.text(due))
        self.ctx.progress(self.done, self.total)

    def _count(self, name: str, number: int) -> None:
        if number:
            self.counts[name] = self.counts.get(name, 0) + number

    def _save(self, results: list) -> None:
        """The database failed. What is in hand, and what comes yet, is stored all the same, if it can be."""
        results, self.held = results + self.held, []
        while self.flying:
            results = results + self._wait()
        self._commit(results, [])

    # The threads

    def _start(self, row: dict) -> None:
        """Hand a row that has begun to a thread of its own."""
        import threading

        self.begun += 1
        number, endpoint = self.begun, self.known[row["webhook_id"]]
        self.flying[number] = Flight(row, endpoint, time.monotonic())
        try:
            given = request(row, endpoint, self.ctx.clock())
        except ValueError as error:     # of this delivery alone: a secret, or a payload, that is none
            self.answers.put((number, Response(FAILED, text=str(error), reached=None), True, 0))
            return
        try:
            threading.Thread(target=self._send, args=(number, given), daemon=True).start()
        except RuntimeError:            # the host allows no more of them: slower, but it goes on
            self._send(number, given)

    def _send(self, number: int, given) -> None:
        """In a thread: send, and say what came of it and how long that took. Nothing else of ours is touched."""
        began, ours = time.monotonic(), False
        try:
            response = self.poster.post(given)
        except Exception as error:      # noqa: BLE001  (whatever one delivery does, it must not stop the others)
            response, ours = Response(FAILED, text=f"{type(error).__name__}: {error}"[:200], reached=None), True
        self.answers.put((number, response, ours, time.monotonic() - began))

    def _wait(self) -> list:
        """The results of one request or more, as soon as there are any."""
        results, limit = [], self.seconds + LATE
        first = min(flight.started for flight in self.flying.values())
        try:
            found = self.answers.get(timeout=max(first + limit - time.monotonic(), 0))
            while True:
                if found[0] in self.flying:         # else it was given up, and comes too late
                    results.append(self._landed(*found))
                found = self.answers.get_nowait()
        except Empty:
            pass
        late = [number for number, flight in self.flying.items() if flight.started + limit <= time.monotonic()]
        for number in late:
            text = f"no answer within {self.seconds:g} seconds"
            results.append(self._landed(number, Response(TIMEOUT, text=text, reached=False), False, limit))
        return results

    def _landed(self, number: int, response: Response, ours: bool, seconds: float) -> Result:
        """What came of a request, and whom it says to leave alone: that is known before the next rows are chosen."""
        row, endpoint, _ = self.flying.pop(number)
        verdict = judge(response, self.ctx.clock())
        if verdict.wait or verdict.gone:
            self.resting.add(endpoint["id"])
        if endpoint["host"] and (response.reached is False or response.outcome == OURS):
            self.unreached.add(endpoint["host"])
        waited = response.outcome == TIMEOUT or seconds >= DEAD_AFTER
        if waited and response.outcome != ANSWERED and endpoint["host"]:
            self.dead.add(endpoint["host"])
        return Result(row, endpoint, response, verdict, ours or response.outcome in (OURS, UNSENDABLE))
