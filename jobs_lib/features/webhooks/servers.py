"""Which endpoints a run leaves alone because of how they, or their server, have behaved in it.

A request that is let in and then kept waiting speaks of its own URL: on a host that several owners
share, each of them has chosen theirs. So that endpoint alone is left out. A server, which is a host
and a port, is left out when no connection to it can be made, or when endpoints of OWNERS owners
hang and nobody is answered there meanwhile.
"""
from __future__ import annotations

from collections import Counter

from jobs_lib.ports.http.message import ANSWERED, OURS, TIMEOUT

# seconds: a request that ends later than that without an answer has kept us waiting
HANGS_AFTER = 1.0
OWNERS = 2
# of one owner at a server: then its others there that have not answered are left out too
ENDPOINTS = 2


class Servers:
    """What one run knows of them."""

    def __init__(self) -> None:
        self.has_hung = False               # whether anything has kept this run waiting
        self._endpoints: set = set()        # those left out
        self._servers: set = set()          # likewise
        # {server: owners whose endpoints hang, since the last answer from there}
        self._hanging: dict = {}
        self._hung_of: Counter = Counter()  # {(server, owner): endpoints}
        self._working: set = set()          # endpoints that have answered
        self._answered: dict = {}           # {server: when it did last}

    def note(self, flight, response, seconds: float, now: float) -> None:
        """What came of a request, which took so long and ended now."""
        endpoint, owner = flight.endpoint, flight.row["user_id"]
        server = endpoint["server"]
        if response.outcome == ANSWERED:
            self._working.add(endpoint["id"])
            self._answered[server] = now
            self._hanging.pop(server, None)
            return
        waited = response.outcome == TIMEOUT or seconds >= HANGS_AFTER
        unreached = response.reached is False or response.outcome == OURS
        if not (endpoint["host"] and (waited or unreached)):
            return
        self.has_hung = self.has_hung or waited
        self._endpoints.add(endpoint["id"])
        self._hung_of[server, owner] += 1
        if self._answered.get(server, 0.0) > flight.started:
            return                          # it is there, and lets others in
        owners = self._hanging.setdefault(server, set())
        owners.add(owner)
        if unreached or len(owners) >= OWNERS:
            self._servers.add(server)

    def leaves_out(self, owner, endpoint: dict) -> bool:
        """Whether nothing more is sent to this endpoint in this run. One that has been failing is
        not begun once anything has hung: so all of those together make a run one time limit longer
        at most."""
        id, server = endpoint["id"], endpoint["server"]
        return (id in self._endpoints or server in self._servers or bool(endpoint["failing_since"]
                                                                         and self.has_hung)
                or (self._hung_of[server, owner] >= ENDPOINTS and id not in self._working))
