"""The time of the simulation, shared by all its processes: it passes only when somebody lets it."""
from __future__ import annotations

import mmap
from datetime import datetime, timedelta

from .oracle import START

UP = 5_000_000                                          # seconds that the host is up by then
NUMBERS = 512                                           # of 8 bytes each, in the shared memory


class Shared:
    """Numbers that a parent and its forked children see alike, also after a SIGKILL."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 * NUMBERS)
        self.floats = memoryview(self._memory).cast("d")
        self.counts = memoryview(self._memory).cast("q")


class VirtualClock:
    """Seconds since START, in shared memory, never fewer. `skew` is how far the host's clock
    is off."""

    def __init__(self, shared: Shared) -> None:
        self._floats = shared.floats                    # 0: seconds, 1: skew

    seconds = property(lambda self: self._floats[0], lambda self, to: self._set(
        0, max(to, self._floats[0])))
    skew = property(lambda self: self._floats[1], lambda self, to: self._set(1, to))

    def _set(self, at: int, value: float) -> None:
        self._floats[at] = value

    def true_time(self) -> datetime:
        return START + timedelta(seconds=int(self.seconds))

    def now(self) -> datetime:
        """The time that the host believes it is."""
        return START + timedelta(seconds=int(self.seconds + self.skew))

    def monotonic(self) -> float:
        """Seconds of a clock that nobody sets."""
        return UP + self.seconds

    def sleep(self, seconds: float) -> None:
        self._floats[0] += seconds
