"""`run-due` in this process at times that are given: hours of ticks pass in a second."""
from __future__ import annotations

from datetime import timedelta

from tests.support.product import Console, Ports, Session, clock, load, run_due
from tests.support.shell import utc


class Ticks:
    """`seconds` is the clock of the budget; it moves when a job sleeps. `patience`: seconds that a
    tick waits for another writer, if not the usual ones."""

    def __init__(self, site, patience: float | None = None) -> None:
        self.site, self.seconds, self.said = site, 1000.0, []
        self._timeout = {"timeout": patience} if patience else {}

    def at(self, moment, budget: float = 240.0) -> list[tuple]:
        """A tick at that time (`utc` text or datetime): (job, how it ended, slot or None) for each
        run."""
        now = utc(moment) if isinstance(moment, str) else moment
        console = Console(0)
        console.fail = self.said.append
        settings = load(None, beside=str(self.site.folder), environ={})
        ports = Ports(settings)
        began, connect = self.seconds, ports.connect
        ports.connect = lambda **how: connect(**{**self._timeout, **how})
        ports.now = lambda: now + timedelta(seconds=int(self.seconds - began))
        ports.monotonic, ports.sleep = lambda: self.seconds, self._sleep
        try:
            results, self.code = run_due.tick(
                Session(settings, ports, console), timedelta(seconds=budget))
        finally:
            ports.close()
        return [(result["job"], result["status"], result["slot"]
                 and clock.text(result["slot"])[:16]) for result in results]

    def names(self, moment, budget: float = 240.0) -> list[str]:
        """Only which jobs ran, in their order."""
        return [job for job, _, _ in self.at(moment, budget)]

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds
