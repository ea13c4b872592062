"""Where one more request may go beside those in flight.

An endpoint gets one at once, a host and an address two each. While another owner waits for the same
host or address, an owner gets one of the two, and of all slots half. An address is known only once
a host was called: one whose connections turned out to be taken is full until something ends.

A request that has become quiet leaves its slot to another, as long as there is a place among those
that wait, of which an owner gets half, too: so what is slow holds up nothing that is quick.
"""
from __future__ import annotations

from collections import Counter

from jobs_lib.ports.http.message import BUSY

from .endpoints import is_failing
from .turns import Plan

SLOTS = 8                   # requests at once
PER_HOST = 2                # and to an address
PER_OWNER = PER_HOST // 2   # while something of another owner waits for it
# one slot in this many is for endpoints that have been failing, while others wait
FAILING_SHARE = 8
# places for quiet requests, for each slot and in all: each is a thread and a socket more
WAITING_PER_SLOT, MOST_WAITING = 3, 24


class Slots:
    """The slots of one run. A place is ("endpoint", id), ("host", name) or ("address", ip)."""

    plan: Plan

    def __init__(self) -> None:
        self.number, self._held = SLOTS, 0
        self.most_waiting = min(WAITING_PER_SLOT * SLOTS, MOST_WAITING)
        self._waiting: list = []                # quiet attempts that have left their slot
        # {place or (owner, place): requests, owner: slots}
        self._taken: Counter = Counter()
        self._failing = 0                       # of them, to endpoints that fail
        self._address_of: dict = {}             # {host: where it was last found}
        self._full: set = set()                 # addresses
        self._contested: dict = {}              # {(owner, place): whether another waits for it}

    def recount(self, in_flight, plan: Plan) -> None:
        """Begin with what is in flight."""
        self.plan, self._failing, self._held = plan, 0, 0
        self._taken.clear()
        self._contested.clear()
        self._waiting = [attempt for attempt in self._waiting if attempt in in_flight]
        for attempt in in_flight:
            if attempt.is_quiet and attempt not in self._waiting and self._may_wait(attempt.owner):
                self._waiting.append(attempt)
            self.take(attempt.owner, attempt.endpoint, attempt not in self._waiting)

    def _may_wait(self, owner) -> bool:
        mine = sum(attempt.owner == owner for attempt in self._waiting)
        return len(self._waiting) < self.most_waiting and self._is_share(
            mine, self.most_waiting, owner)

    def take(self, owner, endpoint: dict, holds_slot: bool = True) -> None:
        """One more request goes to this endpoint."""
        self._failing += is_failing(endpoint)
        self._held += holds_slot
        self._taken[owner] += holds_slot
        self._taken["endpoint", endpoint["id"]] += 1
        for place in self._shared_places(endpoint):
            self._taken[place] += 1
            self._taken[owner, place] += 1

    def may_take(self, owner, endpoint: dict) -> bool:
        """Whether one more may go to this endpoint."""
        return not self._taken["endpoint", endpoint["id"]] and all(
            self._has_room(place, owner) for place in self._shared_places(endpoint))

    def may_have_more(self, owner) -> bool:
        """Whether this owner may have one more slot."""
        return self._is_share(self._taken[owner], self.number, owner)

    def _is_share(self, mine: int, number: int, owner) -> bool:
        """Whether an owner that has so many of a number may have one more."""
        return mine < max(1, number // 2) or not self.plan.has(False, (owner,))

    def free(self) -> int:
        """How many more requests may begin."""
        return self.number - self._held

    def left_for_failing(self) -> int:
        """How many more may go to endpoints that fail: they count although they wait, so that many
        of those, which are likely to, go out no faster."""
        most = max(1, self.number // FAILING_SHARE) if self.plan.has(False) else self.number
        return most - self._failing

    def note(self, attempt) -> None:
        """What a completed request shows about the address that it went to."""
        response = attempt.response
        if response.address:
            self._address_of[attempt.endpoint["host"]] = response.address
            self._full.discard(response.address)
            if response.outcome == BUSY:
                self._full.add(response.address)
        elif response.reached is not None:          # whichever it was
            self._full.clear()

    def _shared_places(self, endpoint: dict) -> list:
        host = endpoint["host"]
        address = self._address_of.get(host)
        return [*([("host", host)] if host else ()), *([("address", address)] if address else ())]

    def _has_room(self, place: tuple, owner) -> bool:
        if self._taken[place] >= PER_HOST or place[1] in self._full:
            return False
        return self._taken[owner, place] < PER_OWNER or not self._is_contested(owner, place)

    def _is_contested(self, owner, place: tuple) -> bool:
        if (owner, place) not in self._contested:
            kind, name = place
            hosts = [name] if kind == "host" else [host for host, address in
                                                   self._address_of.items() if address == name]
            self._contested[owner, place] = any(self.plan.shares_host(owner, host)
                                                for host in hosts)
        return self._contested[owner, place]
