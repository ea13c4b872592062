"""One run over the deliveries that are due: many endpoints at once, each of them one request after
the other.

    pick       the next delivery that may begin beside those in flight
    begin      one commit: it is `sending`, its attempt on record
    send       by a thread, which does nothing else
    settle     one commit: what came of one that is completed, for it and its endpoint
    conclude   at the end: owners of endpoints that fail for days are warned, or these disabled

The rule of picking: an endpoint has one request in flight, a host two. While working endpoints
wait, failing ones have at most a quarter of the slots. While others wait that may begin by this, an
owner has at most half. Of what may go the owner with the fewest turns is next, and of its endpoints
the one that had none for longest.

Only this thread touches the database. What is in flight when the run is killed is sent once more.
"""
from __future__ import annotations

import threading
from collections import Counter
from itertools import islice
from queue import SimpleQueue

from jobs_lib.engines.attempts import POSTPONED, RETRY, SENT
from jobs_lib.engines.queue import Work, until_stored
from jobs_lib.engines.turns import Ring, Turn
from jobs_lib.ports.http import Response
from jobs_lib.records import namedtuple

from . import endpoints
from .deliveries import MARGIN, OUR_ERROR, PAUSE, Verdict, judge, request

ERRORS = 10                     # answered one after the other, and an endpoint is paused
SLOTS = 8                       # requests at once
PER_HOST = 2
PER_OWNER = SLOTS // 2          # while others wait
FOR_FAILING = SLOTS // 4        # while working endpoints wait
LOOK_UPS = 50                   # owners, before what has come meanwhile is stored
AHEAD = 1000                    # due deliveries of an owner, among which its endpoints are found
PAGE = 20                       # due deliveries of an owner to an endpoint, read at once

# the due deliveries of one owner to one endpoint; ids: an iterator
Lane = namedtuple("Lane", "owner endpoint ids")


class Dispatcher:
    """The loop of one run. What is in flight are rows, each with its `lane`, and its
    `response` once it is completed."""

    def __init__(self, ctx, work: Work) -> None:
        self.ctx, self.db, self.work = ctx, ctx.db, work
        section = ctx.section("webhooks")
        self.poster = ctx.ports().http(section)
        self.seconds = section.timeout.total_seconds()
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
                self._settle_next()
                self._begin_more()
        finally:
            # whatever has failed: what is in flight is stored as soon as it can be
            while self.in_flight:
                self._settle_next()
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
            row["response"] = Response(OUR_ERROR, text="it could not be sent: an internal error")
        self.completed.put(row)

    # What came of them

    def _settle_next(self) -> None:
        """Wait for one that is completed, which none is later than its limit in time. Store the
        result, then what it means for the other deliveries of the endpoint."""
        row = self.completed.get()
        self.in_flight.remove(row)
        if "error" in row:
            self.ctx.defect(row["error"], f"delivery {row['id']}")
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
        """(what came of it, as `settle` has it; the endpoint as it is now). It may run again."""
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


class Picker:
    """The lanes in which something waits. `in_flight`: rows, each with its `lane`."""

    takes_failing = True            # whether anything goes to failing endpoints
    is_whole = False                # whether all owners were looked up

    def __init__(self, work, in_flight: list) -> None:
        self.work, self.db, self.in_flight = work, work.db, in_flight
        self.ring, self._owners = Ring(work), self._look_up()
        self._turns: Counter = Counter()            # {owner: turns}
        self._waiting: list[Lane] = []              # those that had no turn for longest first

    def pick(self) -> tuple | None:
        """(lane, id) of the next delivery. None: nothing may begin before something ends."""
        while lane := self._next():
            self._waiting.remove(lane)
            for id, is_last in lane.ids:
                if not is_last:         # of a crowd, only those that wait are looked through
                    self._waiting.append(lane)
                self._turns[lane.owner] += 1
                return lane, id
        return None

    def drop(self, endpoint_id) -> None:
        """Nothing more goes to this endpoint."""
        self._waiting = [lane for lane in self._waiting if lane.endpoint["id"] != endpoint_id]

    def _next(self) -> Lane | None:
        if len(self.in_flight) >= SLOTS:
            return None
        lane = min(filter(self._may_begin, self._waiting), default=None,
                   key=lambda lane: self._turns[lane.owner])
        if lane and not self._turns[lane.owner]:
            return lane
        # an owner that had no turn yet comes first; where nothing is in flight, however many owners
        # it takes
        for lanes in islice(self._owners, LOOK_UPS if self.in_flight else None):
            self._waiting += lanes
            if found := next(filter(self._may_begin, lanes), None):
                return found
        return lane

    def _may_begin(self, lane: Lane) -> bool:
        id, host, owner = lane.endpoint["id"], lane.endpoint["host"], lane.owner
        busy = [row["lane"] for row in self.in_flight]
        if any(other.endpoint["id"] == id for other in busy):
            return False
        if host and sum(other.endpoint["host"] == host for other in busy) >= PER_HOST:
            return False
        may_fail = self.takes_failing and sum(map(_is_failing, busy)) < FOR_FAILING
        if (sum(other.owner == owner for other in busy) >= PER_OWNER and self._is_waiting(
                lambda other: other.owner != owner and (may_fail or not _is_failing(other)))):
            return False
        return not _is_failing(lane) or may_fail or (self.takes_failing and not self._is_waiting(
            lambda other: not _is_failing(other)))

    def _is_waiting(self, such) -> bool:
        """Whether one of such lanes is waiting, or may be, as not all were looked up."""
        return not self.is_whole or any(map(such, self._waiting))

    # What is due

    def _look_up(self):
        """The Lanes of each owner that has due deliveries, from the one behind the last turn
        on."""
        while turns := self.ring.take(SLOTS):
            self.ring.left.clear()              # it is asked for owners alone, each once
            for owner in dict.fromkeys(turn.owner for turn in turns):
                self.ring.passed.add(owner)
                yield self._lanes(owner)
        self.is_whole = True

    def _lanes(self, owner) -> list[Lane]:
        """Those of an owner, the endpoint that waits for longest first."""
        due, values = self._due(user_id=owner)
        ids = [row["webhook_id"] for row in self.db.query(
            f"SELECT webhook_id FROM (SELECT id, webhook_id, next_attempt_at{due} ORDER BY "
            f"next_attempt_at, id LIMIT {AHEAD}) AS due GROUP BY webhook_id "
            "ORDER BY MIN(next_attempt_at), MIN(id)", **values)]
        known = endpoints.current(self.db, ids)
        return [Lane(owner, known[id], self._ids(owner, id)) for id in ids
                if not endpoints.postpone_if_paused(self.work, known[id])]

    def _ids(self, owner, webhook_id):
        """(id, whether it is the last) of what is due, page by page: behind the last one, since bad
        ones stay where they are."""
        due, values = self._due(user_id=owner, webhook_id=webhook_id)
        rule = ""
        while rows := self.db.query(f"SELECT id, next_attempt_at{due}{rule} "
                                    f"ORDER BY next_attempt_at, id LIMIT {PAGE}", **values):
            last = rows[-1]["id"] if len(rows) < PAGE else None
            yield from ((row["id"], row["id"] == last) for row in rows)
            values.update(time=rows[-1]["next_attempt_at"], last=rows[-1]["id"])
            rule = " AND next_attempt_at >= :time AND (next_attempt_at > :time OR id > :last)"

    def _due(self, **of) -> tuple[str, dict]:
        """(SQL, values): what is due of this owner, or of this owner to this endpoint."""
        due, values = self.work.due_rule()
        same = "".join(f" AND {name} IS NULL" if value is None else f" AND {name} = :{name}"
                       for name, value in of.items())
        return f" FROM {{webhook_deliveries}} WHERE status = 'pending' AND {due}{same}", {
            **values, **of}


def _is_failing(lane: Lane) -> bool:
    """Whether its endpoint has taken nothing since it failed."""
    return bool(lane.endpoint["failing_since"])
