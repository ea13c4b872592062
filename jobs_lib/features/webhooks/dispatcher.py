"""One run over the deliveries that are due: many endpoints at once, each of them one request after
the other.

Threads only send. Everything else is the main thread's: it claims, marks rows `sending` in a
commit, hands them out, and stores the answers in the commit that begins the next ones. An endpoint
is worked off a few rows at a time, and then stands behind the others.

Owners take turns (webhook_turns.py), and none has more than half of the slots while others wait.
Endpoints that fail, or took over half of the time limit for their last answer, get one slot in
eight as long as there are others. Whoever kept us waiting for nothing is left alone for the rest of
the run (webhook_servers.py). Among those that fail, the one tried longest ago is next.
"""
from __future__ import annotations

import time
from collections import Counter, namedtuple
from datetime import timedelta
from queue import Empty, SimpleQueue

from jobs_lib import clock
from jobs_lib.engines.queue import Worker, until_stored
from jobs_lib.errors import DatabaseError
from jobs_lib.ports.http.message import ANSWERED, BUSY, FAILED, OURS, TIMEOUT, UNSENDABLE, Response

from . import endpoints as webhook_endpoints
from .deliveries import (
    MARGIN,
    BadEndpoint,
    Unsendable,
    delays,
    endpoints,
    gone,
    judge,
    note_try,
    request,
)
from .network import OWNERS, Network
from .servers import Servers
from .turns import NO_ENDPOINT, Plan, is_failing, rows_of

CLAIMED_TOGETHER = 20       # rows of an endpoint, where few wait
PER_HOST = 2                # and to an address
PER_OWNER = PER_HOST // 2   # while something of another owner waits for it
# one slot in so many is for endpoints that have been failing, while others wait
FAILING_SHARE = 8
BUSY_TRIES = 3              # so often a host whose address is busy is tried in a run
# of the time limit: whoever takes longer comes after the others from the next run on
SLOW = 0.5
# seconds past its limit after which a request is given up: its look-up hangs
LATE = 0.5
AGAIN = timedelta(minutes=1)                # after which what was given back is due
NAMES = {"sent": "delivered", "retry": "retried", "back": "given_back"}

BAD = BadEndpoint()          # in place of a defect: a value of the endpoint's row

# disabled: why the endpoint was; changed: what else of it
Stored = namedtuple("Stored", "settled changed disabled")
Flight = namedtuple("Flight", "row endpoint started")
# ours: the endpoint is not to blame for it; seconds: that the request took
Result = namedtuple("Result", "row endpoint response verdict ours seconds")


def run(ctx, worker: Worker, counts: dict) -> None:
    """Send what is due, first all but what a killed run was sending, and that at the end."""
    going = Round(ctx, worker, counts)
    try:
        for uncertain in (False, True):
            going.send_all(uncertain)
    finally:
        worker.release()
    if ctx.limit and going.begun >= ctx.limit and worker.due(1):
        ctx.stop("limit")


class Round:
    """The loop. `flying` are the requests that threads are sending."""

    def __init__(self, ctx, worker: Worker, counts: dict) -> None:
        self.ctx, self.worker, self.counts = ctx, worker, counts
        webhooks = ctx.section("webhooks")
        self.slots, self.seconds, self.waits = webhooks.concurrency, webhooks.timeout.total_seconds(), delays(ctx)
        self.poster = ctx.http()
        self.network = Network(ctx, self.poster)
        self.answers: SimpleQueue = SimpleQueue()
        self.flying: dict[int, Flight] = {}
        # of each item of the plan: rows that are claimed, the next one last
        self.waiting: dict[tuple, list] = {}
        self.known: dict[int, dict] = {}
        self.plan: Plan = Plan(ctx, worker, self.known, uncertain=False)
        self.noted: set = set()                     # endpoints that this run has sent something to
        self.resting: set = set()                   # endpoints that asked for it, or are disabled
        self.servers = Servers()
        self.addresses: dict = {}                   # {host: the address that it was last found at}
        # addresses that let nobody more in, until something has landed
        self.full: set = set()
        self.busy_found: Counter = Counter()        # hosts whose address was busy, how often
        self.done = self.begun = self.last_number = 0
        self.total = self.plan.total

    def send_all(self, uncertain: bool) -> None:
        """Send everything that is due and, if `uncertain`, was lost in flight; or else all but
        that."""
        if uncertain:
            self.plan = Plan(self.ctx, self.worker, self.known, uncertain)
        results: list = []
        try:
            while True:
                rows = self._next(results, uncertain) if self._may_go_on() else []
                if not (rows or results or self.flying):
                    results = self.network.sort([], False) or self.network.rest()
                    if not results:
                        break
                stored, results = self._commit(results, rows), []
                self._stored(stored)
                if self.flying:
                    results = self._wait()          # in hand before the database is asked anything
                    results = self._sorted(results)
        except DatabaseError:
            self._save(results)
            raise
        if not uncertain:
            self.plan.keep()

    def _sorted(self, results: list) -> list:
        """The results that can be stored now."""
        if self.network.reached:
            return results
        held = self.network.owners() | {result.row["user_id"] for result in results
                                        if result.response.reached is False}
        others = any(flight.row["user_id"] not in held for flight in self.flying.values())
        if not others and len(held) < OWNERS:
            self.plan.search_on()
            others = self.plan.has(False, held) and not self.ctx.should_stop()
        return self.network.sort(results, others)

    def _may_go_on(self) -> bool:
        if self.ctx.should_stop() or not (self.plan.has(False) or self.plan.has(True)):
            return False
        if self.ctx.hard_limit - self.ctx.monotonic() < self.seconds + MARGIN:
            self.ctx.stop("budget")
            return False
        return True

    def _endpoint(self, id: int) -> dict:
        return self.known.get(id) or NO_ENDPOINT

    # Which rows are next

    def _next(self, results: list, uncertain: bool) -> list:
        """Rows to begin now, each of another endpoint. `results` are not stored yet: what is given
        back among them cannot be claimed."""
        busy = Busy(self.addresses, self.full, self.plan)
        for flight in self.flying.values():
            busy.add(flight.row, self._endpoint(flight.row["webhook_id"]))
        busy.endpoints.update(result.row["webhook_id"] for result in results
                              if result.response.outcome == BUSY)
        free = self.slots - len(self.flying)
        if self.ctx.limit:
            free = min(free, self.ctx.limit - self.begun)
        while True:
            self.plan.search_on(free)
            chosen = self._pick(False, free, busy, uncertain)
            share = free - len(chosen)
            if self.plan.has(False):                # others wait, or have more
                share = min(share, max(1, self.slots // FAILING_SHARE) - busy.failing)
            chosen += self._pick(True, share, busy, uncertain)
            # with nothing in flight there is nothing to wait for before the search goes on
            if chosen or results or self.flying or not self.plan.is_searching or self.ctx.should_stop():
                return chosen

    def _pick(self, failing: bool, most: int, busy: Busy, uncertain: bool) -> list:
        chosen: list = []
        while len(chosen) < most and (row := self._first(failing, busy, uncertain)):
            chosen.append(row)
            busy.add(row, self._endpoint(row["webhook_id"]))
        return chosen

    def _first(self, failing: bool, busy: Busy, uncertain: bool) -> dict | None:
        """The next row of the first item in turn that can be begun."""
        for item in self.plan.candidates(failing, lambda owner: self._may_have_more(owner, busy)):
            id = item[1]
            if self._is_out(item):
                self.plan.drop(item)                # not in this run
                self.waiting.pop(item, None)        # given back at its end
            elif busy.lets_in(item, self._endpoint(id)):
                row = self._row(item, uncertain)
                if row:
                    self.plan.began(item, failing)
                    return row
        return None

    def _is_out(self, item: tuple) -> bool:
        owner, id = item
        endpoint = self._endpoint(id)
        return (id in self.resting or self.busy_found[endpoint["host"]] >= BUSY_TRIES
                or self.servers.leaves_out(owner, endpoint))

    def _may_have_more(self, owner, busy: Busy) -> bool:
        """Of the slots an owner has half at most, while others wait."""
        return busy.owners[owner] < max(1, self.slots // 2) or not self.plan.has(False, (owner,))

    def _row(self, item: tuple, uncertain: bool) -> dict | None:
        """The next row of an endpoint, which is out when nothing is left. It keeps its place until
        its turn is over: so only about as many endpoints as there are slots have rows in memory."""
        rows = self.waiting.setdefault(item, [])
        while not rows:
            most = max(1, CLAIMED_TOGETHER * self.slots // max(self.slots, len(self.plan.owners())))
            claimed = self.worker.claim(most, rows_of(item), uncertain)
            if not claimed:
                self.waiting.pop(item)
                self.plan.drop(item)
                return None
            rows += self._alive(item[1], claimed)[::-1]
        row = rows.pop()
        if not rows:
            self.waiting.pop(item)
            self.plan.over(item)
        return row

    def _alive(self, id: int, rows: list) -> list:
        """Those of the rows that somebody waits for; the others are cancelled."""
        found = endpoints(self.ctx.db, [id])        # at each turn anew
        if id in found:
            self.known[id] = {**self._endpoint(id), **found[id]}
        cancelled = gone(self.ctx.db, rows, found)

        def work():
            for row in rows:
                if row["id"] in cancelled:
                    self.worker.cancel(row, last_error=f"cancelled: {cancelled[row['id']]}")
        if cancelled:
            self.ctx.db.batch(work)
            self._count("cancelled", len(cancelled))
            for row_id, reason in cancelled.items():
                self.ctx.log.event("delivery", id=row_id, webhook_id=id, outcome="cancelled",
                                   reason=reason)
        return [row for row in rows if row["id"] not in cancelled]

    # The database

    def _commit(self, results: list, rows: list) -> list:
        """One commit: what came, and the start of what is next, which is handed to threads. The
        results as stored."""
        stored: list = []
        begun: list = []

        def work():
            stored[:] = [self._settle(result) for result in results]
            off = {result.endpoint["id"] for result, one in zip(results, stored) if one.disabled}
            begun[:] = [row for row in rows if row["webhook_id"] not in off
                        and self.worker.begin(row)]
        if results or rows:
            self.ctx.db.batch(work)
        for row in begun:
            self._start(row)
        return list(zip(results, stored))

    def _stored(self, stored: list) -> None:
        """What follows once answers are stored: first all that is counted and logged, then what may
        fail."""
        off: list = []
        for result, one in stored:
            if result.response.outcome == BUSY:
                self.begun -= 1
                continue
            self.known[result.endpoint["id"]].update(one.changed)
            self.noted.add(result.endpoint["id"])
            self._report(result, one.settled)
            if one.disabled:
                off.append(result.endpoint["id"])
                self.ctx.log.warning("endpoint disabled", webhook_id=off[-1], reason=one.disabled)
        self._count("disabled", len(off))
        self.resting.update(off)
        for id in off:
            for number in webhook_endpoints.cancel(self.ctx, id, "the endpoint was disabled"):
                self._count("cancelled", number)
        if stored:
            self.ctx.progress(self.done, self.total)

    def _settle(self, result: Result) -> Stored:
        """Store one answer. It may be called again after a deadlock, so it changes nothing but
        rows."""
        row, endpoint, response, verdict, _, seconds = result
        changed: dict = {}
        now, disabled = self.ctx.clock(), ""
        if response.outcome == BUSY:                # nothing was sent: as if it had not been begun
            return Stored(self.worker.settle(row, "back", next_attempt_at=row["next_attempt_at"],
                                             last_attempt_at=row["last_attempt_at"]), changed,
                          disabled)
        until = now + verdict.wait if verdict.wait else None
        stored = {"response_status": result.response.status,
                  "response_excerpt": result.response.excerpt or None, "last_error": verdict.error}
        if until and row["attempt"] < len(self.waits):
            # never early
            stored["next_attempt_at"] = max(until, now + self.waits[row["attempt"]])
        if verdict.outcome == "back":
            # and its others too, so that the next run begins with someone else
            row = {**row, "next_attempt_at": None}  # which may be no time at all
            stored["next_attempt_at"] = now + AGAIN
            webhook_endpoints.rests(self.ctx, endpoint, self.waits, now + AGAIN)
        settled = self.worker.settle(row, verdict.outcome, **stored)
        slow = int(response.outcome == ANSWERED and seconds > SLOW * self.seconds)
        if verdict.outcome != "back" and (endpoint["id"] not in self.noted or slow
                                          != endpoint["slow"]):
            note_try(self.ctx.db, endpoint, now, slow)
        if verdict.outcome == "done":
            changed = webhook_endpoints.works(self.ctx.db, endpoint)
        elif not result.ours:
            if until:
                webhook_endpoints.rests(self.ctx, endpoint, self.waits, until)
            changed, reason = webhook_endpoints.fails(self.ctx, endpoint, verdict.error or "")
            reason = "the endpoint answered 410 Gone" if verdict.gone else reason
            disabled = reason if reason and webhook_endpoints.disable(self.ctx, endpoint,
                                                                      reason) else ""
        return Stored(settled, changed, disabled)

    def _report(self, result: Result, settled) -> None:
        self.done += 1
        name, due, code = NAMES.get(settled.outcome, settled.outcome), settled.next_attempt_at, result.response.status
        self._count(name, 1)
        self.ctx.log.event("delivery", "info" if name == "delivered" else "warning",
                           id=result.row["id"], webhook_id=result.row["webhook_id"],
                           attempt=result.row["attempt"], outcome=name, code=code,
                           next_attempt_at=due and clock.text(due))

    def _count(self, name: str, number: int) -> None:
        if number:
            self.counts[name] = self.counts.get(name, 0) + number

    def _save(self, results: list) -> None:
        """The database failed. What is in hand, and what comes yet, is stored all the same, as soon
        as it can be."""
        results = results + self.network.rest()
        while self.flying:
            results = results + self._wait()
        if results:
            stored = until_stored(self.ctx, lambda: [self._settle(result) for result in results])
            self._stored(list(zip(results, stored)))

    # The threads

    def _start(self, row: dict) -> None:
        """Hand a row that has begun to a thread of its own."""
        import threading

        self.begun, self.last_number = self.begun + 1, self.last_number + 1
        number, endpoint = self.last_number, self.known[row["webhook_id"]]
        self.flying[number] = Flight(row, endpoint, time.monotonic())
        try:
            given = request(row, endpoint, self.ctx.clock())
        except Unsendable as error:     # it will never be any other
            self.answers.put((number, Response(UNSENDABLE, text=str(error), reached=None), None, 0))
            return
        except BadEndpoint as error:    # its owner may mend it
            self.answers.put((number, Response(FAILED, text=str(error), reached=None), BAD, 0))
            return
        try:
            threading.Thread(target=self._send, args=(number, given), daemon=True).start()
        except RuntimeError:            # the host allows no more of them: slower, but it goes on
            self._send(number, given)

    def _send(self, number: int, given) -> None:
        """In a thread: send, and say what came of it and how long that took. Nothing else of ours
        is touched."""
        began, wrong = time.monotonic(), None
        try:
            response = self.poster.post(given)
        except Exception as error:      # noqa: BLE001  (a defect of ours: the main thread has it recorded)
            response, wrong = Response(FAILED, text="it could not be sent: an error of ours",
                                       reached=None), error
        self.answers.put((number, response, wrong, time.monotonic() - began))

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
        late = [number for number, flight in self.flying.items() if flight.started + limit
                <= time.monotonic()]
        for number in late:
            text = f"no answer within {self.seconds:g} seconds"
            results.append(self._landed(number, Response(TIMEOUT, text=text, reached=False), None,
                                        limit))
        return results

    def _landed(self, number: int, response: Response, wrong: Exception | None,
                seconds: float) -> Result:
        """What came of a request, and whom it says to leave alone: that is known before the next
        rows are chosen.

        `wrong`: what we met ourselves; the endpoint is not to blame for it."""
        flight = self.flying.pop(number)
        row, endpoint, _ = flight
        if wrong not in (None, BAD):
            self.ctx.defect(wrong, f"delivery {row['id']}")
        verdict, host = judge(response, self.ctx.clock()), endpoint["host"]
        if response.address:
            self.addresses[host] = response.address
        if response.outcome == BUSY:
            self.busy_found[host] += 1
            self.full.add(response.address)
            return Result(row, endpoint, response, verdict, True, seconds)
        if response.address:
            self.full.discard(response.address)
        elif response.reached is not None:          # whichever it was
            self.full.clear()
        if verdict.wait or verdict.gone:
            self.resting.add(endpoint["id"])
        self.servers.note(flight, response, seconds, time.monotonic())
        ours = wrong is not None or response.outcome in (OURS, UNSENDABLE)
        return Result(row, endpoint, response, verdict, ours, seconds)


class Busy:
    """What is in flight, and about to be: one to an endpoint, PER_HOST to a host and to an
    address."""

    def __init__(self, addresses: dict, full: set, plan: Plan) -> None:
        self._address_of, self._full, self._plan = addresses, full, plan
        self.endpoints: set = set()
        self.owners: Counter = Counter()
        self.hosts: Counter = Counter()
        self.addresses: Counter = Counter()
        self.failing = 0
        self._places: Counter = Counter()       # of each owner at each host and address
        self._shared: dict = {}                 # {(owner, address): whether another's wait there}

    def add(self, row: dict, endpoint: dict) -> None:
        """This row is in flight."""
        self.endpoints.add(row["webhook_id"])
        self.owners[row["user_id"]] += 1
        self.failing += is_failing(endpoint)
        if endpoint["host"]:
            owner, host = row["user_id"], endpoint["host"]
            address = self._address_of.get(host)
            self.hosts[host] += 1
            self.addresses[address] += 1
            self._places[owner, host] += 1
            self._places[owner, address] += 1

    def lets_in(self, item: tuple, endpoint: dict) -> bool:
        """Whether another one may go there."""
        (owner, id), host = item, endpoint["host"]
        # of a host that was not called yet it is not known
        address = self._address_of.get(host)
        if id in self.endpoints or self.hosts[host] >= PER_HOST:
            return False
        if self._places[owner, host] >= PER_OWNER and self._plan.shares_host(owner, host):
            return False
        if address is None:
            return True
        if address in self._full or self.addresses[address] >= PER_HOST:
            return False
        return self._places[owner, address] < PER_OWNER or not self._shares_address(owner, address)

    def _shares_address(self, owner, address: str) -> bool:
        if (owner, address) not in self._shared:
            self._shared[owner, address] = any(
                each == address and self._plan.shares_host(owner, host) for host,
                each in self._address_of.items())
        return self._shared[owner, address]
