"""Which delivery goes next, of all that are due. The whole rule:

    An endpoint has one request in flight, a host two. While others wait, an owner has at most half
    of the slots. While working endpoints wait, failing ones have at most a quarter.

Of what may go the owner with the fewest turns in this run is next, and of its endpoints the one
with the fewest. Owners are looked up only as far as slots are free.
"""
from __future__ import annotations

from collections import Counter
from itertools import islice

SLOTS = 8                       # requests at once
PER_HOST = 2
PER_OWNER = SLOTS // 2          # while others wait
FOR_FAILING = SLOTS // 4        # while working endpoints wait
LOOK_UPS = 50                   # owners, before what has come meanwhile is stored


class Lane:
    """The due deliveries of one owner to one endpoint: their ids, at least one. `next`: the one
    behind the last that was taken, or None."""

    def __init__(self, owner, endpoint: dict, ids) -> None:
        self.owner, self.endpoint, self._ids = owner, endpoint, iter(ids)
        self.next: object = None
        self.turns = 0

    def take(self):
        """The next id. None if it is no longer due."""
        taken = next(self._ids, None) if self.next is None else self.next
        self.next = next(self._ids, None)
        self.turns += 1
        return taken

    @property
    def is_failing(self) -> bool:
        """Whether its endpoint has taken nothing since it failed."""
        return bool(self.endpoint["failing_since"])


class Picker:
    """The lanes in which something waits. `owners`: the Lanes of each owner, looked up at each
    step. `in_flight`: requests, each with its `lane`."""

    takes_failing = True            # whether anything goes to failing endpoints
    is_whole = False                # whether all owners were looked up

    def __init__(self, owners, in_flight: list) -> None:
        self._owners, self.in_flight = owners, in_flight
        self._turns: Counter = Counter()            # {owner: turns}
        self._waiting: list[Lane] = []

    def pick(self) -> tuple | None:
        """(lane, id) of the next delivery. None: nothing may begin before something ends."""
        if len(self.in_flight) >= SLOTS:
            return None
        lane = min(filter(self._may_begin, self._waiting), default=None,
                   key=lambda lane: (self._turns[lane.owner], lane.turns))
        if lane is None or self._turns[lane.owner]:         # one that had no turn yet comes first
            lane = next(filter(self._may_begin, self._look_up()), lane)
        if lane is None:
            return None
        taken = lane.take()
        if lane.next is None:
            self._waiting.remove(lane)
        self._turns[lane.owner] += 1
        return lane, taken

    def drop(self, endpoint_id) -> None:
        """Nothing more goes to this endpoint."""
        self._waiting = [lane for lane in self._waiting if lane.endpoint["id"] != endpoint_id]

    def _look_up(self):
        """Lanes of owners that were not looked up yet; without a limit where nothing is in flight
        that could be waited for."""
        for lanes in islice(self._owners, LOOK_UPS if self.in_flight else None):
            self._waiting += lanes
            yield from lanes

    def _may_begin(self, lane: Lane) -> bool:
        id, host, owner = lane.endpoint["id"], lane.endpoint["host"], lane.owner
        busy = [attempt.lane for attempt in self.in_flight]
        if any(other.endpoint["id"] == id for other in busy):
            return False
        if host and sum(other.endpoint["host"] == host for other in busy) >= PER_HOST:
            return False
        if (sum(other.owner == owner for other in busy) >= PER_OWNER
                and self._is_waiting(lambda other: other.owner != owner)):
            return False
        return not lane.is_failing or (self.takes_failing and (
            sum(other.is_failing for other in busy) < FOR_FAILING
            or not self._is_waiting(lambda other: not other.is_failing)))

    def _is_waiting(self, such) -> bool:
        """Whether one of such lanes is waiting, or may be, as not all were looked up."""
        return not self.is_whole or any(map(such, self._waiting))
