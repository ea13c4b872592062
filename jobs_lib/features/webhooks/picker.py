"""Which delivery goes next, of all that are due. The whole rule:

    An endpoint has one request in flight, a host two. While others wait, an owner has at most half
    of the slots. While working endpoints wait, failing ones have at most a quarter.

Of what may go the owner with the fewest turns is next, and of its endpoints the one that had none
for longest. Owners are looked up as far as slots are free.
"""
from __future__ import annotations

from collections import Counter
from itertools import islice

from jobs_lib.engines.turns import Ring
from jobs_lib.records import namedtuple

from . import endpoints

SLOTS = 8                       # requests at once
PER_HOST = 2
PER_OWNER = SLOTS // 2          # while others wait
FOR_FAILING = SLOTS // 4        # while working endpoints wait
LOOK_UPS = 50                   # owners, before what has come meanwhile is stored
AHEAD = 1000                    # due deliveries of an owner, among which its endpoints are found
PAGE = 20                       # due deliveries of an owner to an endpoint, read at once

# the due deliveries of one owner to one endpoint; ids: an iterator
Lane = namedtuple("Lane", "owner endpoint ids")


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
        if (sum(other.owner == owner for other in busy) >= PER_OWNER
                and self._is_waiting(lambda other: other.owner != owner)):
            return False
        return not _is_failing(lane) or (self.takes_failing and (
            sum(map(_is_failing, busy)) < FOR_FAILING
            or not self._is_waiting(lambda other: not _is_failing(other))))

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
            f"SELECT webhook_id FROM (SELECT webhook_id, next_attempt_at{due} ORDER BY "
            f"next_attempt_at LIMIT {AHEAD}) AS due GROUP BY webhook_id "
            "ORDER BY MIN(next_attempt_at)", **values)]
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
