"""Which endpoints a run skips because of how they, or their server, have behaved in it.

A request that is let in and then kept waiting speaks of its own URL: on a host that several owners
share, each of them has chosen theirs. So that endpoint alone is skipped. A server, which is a host
and a port, is skipped when no connection to it can be made, or when endpoints of OWNERS owners hang
and it answers nobody meanwhile.
"""
from __future__ import annotations

from collections import Counter

from jobs_lib.ports.http.message import ANSWERED, BUSY, OURS, TIMEOUT

# seconds: a request that ends later than that without an answer has held the run up
HANGS_AFTER = 1.0
OWNERS = 2
# of one owner at a server: then its others there that have not answered are skipped too
ENDPOINTS = 2
BUSY_TRIES = 3              # so often a host whose address is busy is tried in a run


class Servers:
    """What one run knows about the servers of endpoints."""

    def __init__(self) -> None:
        self._has_waited = False            # whether anything has held this run up
        # servers, and endpoints that asked for it or are disabled
        self._skipped: set = set()
        self._busy: Counter = Counter()     # hosts: how often their address was busy
        self._answering: set = set()        # endpoints that have answered
        self._answered: dict = {}           # {server: when it did last}
        self._hung: dict = {}               # {server: {owner: {endpoint: when its request began}}}

    def skip(self, id: int) -> None:
        """Send nothing more to this endpoint."""
        self._skipped.add(id)

    def note(self, attempt, now: float) -> None:
        """What came of a request, which ended now."""
        endpoint, response = attempt.endpoint, attempt.response
        server = endpoint["server"]
        if attempt.verdict.wait or attempt.verdict.gone:
            self.skip(endpoint["id"])
        if response.outcome == BUSY:
            self._busy[endpoint["host"]] += 1
        elif response.outcome == ANSWERED:
            self._answering.add(endpoint["id"])
            self._answered[server] = now
        elif endpoint["host"]:
            waited = response.outcome == TIMEOUT or attempt.seconds >= HANGS_AFTER
            unreached = response.reached is False or response.outcome == OURS
            if waited or unreached:
                self._note_failure(attempt, waited, unreached)

    def _note_failure(self, attempt, waited: bool, unreached: bool) -> None:
        self._has_waited = self._has_waited or waited
        server = attempt.endpoint["server"]
        hung = self._hung.setdefault(server, {})
        hung.setdefault(attempt.owner, {})[attempt.endpoint["id"]] = attempt.started
        answered = self._answered.get(server, 0.0)
        if answered > attempt.started:
            return                          # it is there, and lets others in
        hanging = [owner for owner, began in hung.items() if max(began.values()) >= answered]
        if unreached or len(hanging) >= OWNERS:
            self._skipped.add(server)

    def why_skipped(self, owner, endpoint: dict) -> str:
        """Why nothing more is sent to this endpoint in this run, or "". One that has been failing
        is not begun once anything has hung: so all of those together make a run one time limit
        longer at most."""
        id, server = endpoint["id"], endpoint["server"]
        hung = self._hung.get(server, {}).get(owner, ())
        if id in self._skipped:
            return "it asked to wait, or is disabled"
        if server in self._skipped:
            return "its server does not answer"
        if id in hung:
            return "it did not answer in this run"
        if self._busy[endpoint["host"]] >= BUSY_TRIES:
            return "the address of its host is busy"
        if endpoint["failing_since"] and self._has_waited:
            return "it was failing before, and another one has held this run up"
        if len(hung) >= ENDPOINTS and id not in self._answering:
            return "others of its owner at this server did not answer"
        return ""
