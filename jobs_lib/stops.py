"""When a run has to end: its budget, SIGTERM, memory, a lost lock, and the hard limit behind them.

The soft reasons are asked for between items (`should_stop`). The hard limit raises `Stopped` inside whatever
hangs; when even that is stuck in C code, a watchdog thread of the interpreter ends the process.
"""
from __future__ import annotations

import faulthandler
import os
import signal

from .errors import Stopped

LAST_RESORT_SECONDS = 10         # from the hard limit until the process ends itself
MEMORY_SHARE = 0.9               # of the limit: the rest is for finishing the item in hand


class Stops:
    """Soft and hard ends of one run. Use as a context manager around the job's own code."""

    def __init__(self, *, monotonic, budget: float, grace: float, memory: int | None, lock) -> None:
        self._monotonic, self._memory, self._lock = monotonic, memory, lock
        self.started = monotonic()
        self.soft, self.hard = self.started + budget, self.started + budget + grace
        self.reason: str | None = None
        self._signalled: str | None = None
        self._before: dict = {}

    def asked(self) -> str | None:
        """The reason to stop, once there is one; it stays."""
        if self.reason is None:
            self.reason = self._look()
        return self.reason

    def _look(self) -> str | None:
        if self._signalled:
            return self._signalled
        if self._monotonic() >= self.soft:
            return "budget"
        if self._memory and resident_bytes() > self._memory * MEMORY_SHARE:
            return "memory"
        return None if self._lock.check() else "lock lost"

    def because(self, reason: str) -> None:
        """Stop for a reason of the job's own, such as the relay's hourly limit."""
        self.reason = self.reason or reason

    @property
    def terminated(self) -> bool:
        """Whether a signal asked for the end."""
        return self._signalled is not None

    def __enter__(self) -> Stops:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._note)
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._hard)
        left = max(0.05, self.hard - self._monotonic())
        signal.setitimer(signal.ITIMER_REAL, left)
        faulthandler.dump_traceback_later(left + LAST_RESORT_SECONDS, exit=True)
        return self

    def __exit__(self, *_) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame) -> None:
        self._signalled = "SIGTERM" if number == signal.SIGTERM else signal.Signals(number).name

    def _hard(self, _number, _frame) -> None:
        raise Stopped("the hard limit")


def resident_bytes() -> int:
    """The memory this process holds now; its peak where the system has no /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
