"""What all processes share: the time, which passes only when somebody lets it, and the points at
which something can strike one: statements, commits, messages, requests, and what is done to files.
These are installed in a forked child, through the door of the tests (tests/support/product.py) and
on what the system offers.

A strike is armed in shared memory as a countdown, in one of two ways: at the n-th point of its kind
from now on, in whichever process that is; or aimed at a job, at the n-th such point of its runs,
counted from the row of a run in `job_runs`. There the process is ended, stopped or asked to end.
"""
from __future__ import annotations

import mmap
import os
import signal
from datetime import datetime, timedelta

from tests.support import product

from .oracle import START
from .oracle.runs import JOBS

UP = 5_000_000                                          # seconds that the host is up by then
NUMBERS = 512                                           # of 8 bytes each, in the shared memory

# Each kind has two sides: just before, and just after.
KINDS = ("statement", "commit", "message", "request", "unlink", "rename", "write")
SIDES = ("before", "after")
POINTS = tuple(f"{side} {kind}" for kind in KINDS for side in SIDES)
ACTIONS = (None, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
# Places in the shared memory: the countdown of each point, and what strikes at its end.
LEFT, ACTION = 64, 112
# What is aimed at the job of a number: three places each, for a point, the countdown, and what
# strikes.
AIM = 256
# Where the last strike was (the index of its point, plus one), its signal, and the job that it was
# aimed at; who forks the processes of the product; how often a mutant has acted.
REPORT, SIGNAL, REPORT_JOB, PARENT, MUTATED = range(208, 213)


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


class Strikes:
    """What is armed, and what has struck."""

    def __init__(self, shared: Shared) -> None:
        self._counts = shared.counts
        self._counts[PARENT] = os.getpid()
        self._running = 0               # the number of the job whose run is under way
        self._gate: list | None = None
        # {number of a job: what waits for the one before it to strike}
        self._aims: dict[int, list[tuple]] = {}

    def arm(self, point: str, number: int, action: int) -> None:
        """Strike at that point, the `number`-th of its kind from now on, unless one is armed."""
        at = POINTS.index(point)
        if not self._counts[LEFT + at]:
            self._counts[LEFT + at], self._counts[ACTION + at] = number, ACTIONS.index(action)

    def aim(self, job: str, point: str, number: int, action: int) -> None:
        """Strike a run of the job at that point, once all that was aimed at it before has
        struck."""
        self._aims.setdefault(JOBS.index(job) + 1, []).append(
            (POINTS.index(point), number, ACTIONS.index(action)))

    def take_aim(self) -> None:
        """A process is about to begin: the next of those that wait is armed, for each job."""
        for job, waiting in self._aims.items():
            if waiting and not self._counts[AIM + job * 3 + 1]:
                for at, value in enumerate(waiting.pop(0)):
                    self._counts[AIM + job * 3 + at] = value

    def disarm(self, aims: bool) -> None:
        """Nothing strikes any more, but, unless so said, what was aimed at a job."""
        for at in range(len(POINTS)):
            self._counts[LEFT + at] = 0
        if aims:
            self._aims.clear()
            for job in range(len(JOBS) + 1):
                self._counts[AIM + job * 3 + 1] = 0

    def let_in(self, after: int, go: int, ready: int) -> None:
        """Another process may lock the database after so many commits from now on: it is told by
        `go`, and says by `ready` that it has. 0: none."""
        self._gate = [after, go, ready] if after else None

    def last(self) -> tuple[str, str]:
        """(the last strike in words, the job that it was aimed at), forgotten by this question."""
        at, self._counts[REPORT] = self._counts[REPORT], 0
        job, self._counts[REPORT_JOB] = self._counts[REPORT_JOB], 0
        words = f"{signal.Signals(self._counts[SIGNAL]).name} {POINTS[at - 1]}" if at else ""
        return words, JOBS[job - 1] if job else ""

    def mutated(self, times: int = 1) -> int:
        """A mutant has just changed something; how often that was."""
        self._counts[MUTATED] += times
        return self._counts[MUTATED]

    def stated(self, sql: str, values: dict, side: int) -> None:
        """A statement is about to be sent, or has been answered."""
        if job := product.begins(sql, values, side):
            self._running = JOBS.index(job) + 1 if job in JOBS else 0
        is_commit = sql == "COMMIT"
        self.reached("commit" if is_commit else "statement", side)
        if self._gate and is_commit and side == 1:
            self._gate[0] -= 1
            if not self._gate[0]:
                os.write(self._gate[1], b"x")
                os.read(self._gate[2], 1)

    def reached(self, kind: str, side: int) -> None:
        at, counts = KINDS.index(kind) * 2 + side, self._counts
        aim = AIM + self._running * 3
        if counts[aim + 1] and counts[aim] == at:
            counts[aim + 1] -= 1
            if not counts[aim + 1]:
                counts[REPORT_JOB] = self._running
                self._strike(at, ACTIONS[counts[aim + 2]])
        if counts[LEFT + at]:
            counts[LEFT + at] -= 1
            if not counts[LEFT + at]:
                self._strike(at, ACTIONS[counts[ACTION + at]])

    def _strike(self, at: int, how) -> None:
        if how == signal.SIGSTOP and os.getppid() != self._counts[PARENT]:
            how = signal.SIGKILL        # a worker would wait for its stopped run
        self._counts[REPORT], self._counts[SIGNAL] = at + 1, how
        os.kill(os.getpid(), how)

    def around(self, kind: str, function):
        """The function, with a point before it and one after."""
        def struck(*args, **named):
            self.reached(kind, 0)
            result = function(*args, **named)
            self.reached(kind, 1)
            return result
        return struck


def install(strikes: Strikes) -> None:
    product.around_statements(strikes.stated)
    for kind, names in (("unlink", ("unlink", "remove")), ("rename", ("rename", "replace", "link")),
                        ("write", ("fsync",))):
        for name in names:
            setattr(os, name, strikes.around(kind, getattr(os, name)))
