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
from ctypes import Structure, c_double, c_int64, sizeof
from datetime import datetime, timedelta

from tests.support import product

from .oracle import START
from .oracle.runs import JOBS

UP = 5_000_000                                          # seconds that the host is up by then

# Each kind has two sides: just before, and just after.
KINDS = ("statement", "commit", "message", "request", "unlink", "rename", "write")
SIDES = ("before", "after")
POINTS = tuple(f"{side} {kind}" for kind in KINDS for side in SIDES)


class Armed(Structure):
    """What strikes after so many points: with which signal, and at which point."""
    _fields_ = [("left", c_int64), ("action", c_int64), ("point", c_int64)]


class Shared(Structure):
    """The clock, and what else a parent and its forked children see alike after a SIGKILL too."""
    _fields_ = [
        ("seconds", c_double),                      # since START
        ("skew", c_double),                         # how far the host's clock is off
        ("any", Armed * len(POINTS)),               # of each point, whatever job runs
        ("aimed", Armed * (len(JOBS) + 1)),         # at the job of a number
        ("struck", c_int64),                        # the last point at which it did, plus one
        ("signal", c_int64), ("job", c_int64),      # with what, and at which job it was aimed
        ("parent", c_int64),                        # who forks the processes of the product
        ("mutated", c_int64)]                       # how often a mutant has acted

    @classmethod
    def make(cls) -> Shared:
        return cls.from_buffer(mmap.mmap(-1, sizeof(cls)))

    def now(self) -> datetime:
        """The time that the host believes it is."""
        return START + timedelta(seconds=int(self.seconds + self.skew))

    def monotonic(self) -> float:
        """Seconds of a clock that nobody sets."""
        return UP + self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Strikes:
    """What is armed, and what has struck."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        shared.parent = os.getpid()
        self._running = 0               # the number of the job whose run is under way
        self._gate: list | None = None
        # {number of a job: what waits for the one before it to strike}
        self._aims: dict[int, list[Armed]] = {}

    def arm(self, point: str, number: int, action: int) -> None:
        """Strike at that point, the `number`-th of its kind from now on, unless one is armed."""
        at = POINTS.index(point)
        if not self._shared.any[at].left:
            self._shared.any[at] = Armed(number, action, at)

    def aim(self, job: str, point: str, number: int, action: int) -> None:
        """Strike a run of the job at that point, once what was aimed at it before has struck."""
        self._aims.setdefault(JOBS.index(job) + 1, []).append(
            Armed(number, action, POINTS.index(point)))

    def take_aim(self) -> None:
        """A process is about to begin: the next of those that wait is armed, for each job."""
        for job, waiting in self._aims.items():
            if waiting and not self._shared.aimed[job].left:
                self._shared.aimed[job] = waiting.pop(0)

    def disarm(self, aims: bool) -> None:
        """Nothing strikes any more, but, unless so said, what was aimed at a job."""
        if aims:
            self._aims.clear()
        for armed in (*self._shared.any, *(self._shared.aimed if aims else ())):
            armed.left = 0

    def let_in(self, after: int, go: int, ready: int) -> None:
        """Another process may lock the database after so many commits from now on: it is told by
        `go`, and says by `ready` that it has. 0: none."""
        self._gate = [after, go, ready] if after else None

    def last(self) -> tuple[str, str]:
        """(the last strike in words, the job that it was aimed at), forgotten by this question."""
        shared = self._shared
        at, job, shared.struck, shared.job = shared.struck, shared.job, 0, 0
        words = f"{signal.Signals(shared.signal).name} {POINTS[at - 1]}" if at else ""
        return words, JOBS[job - 1] if job else ""

    def mutated(self, times: int = 1) -> int:
        """A mutant has just changed something; how often that was."""
        self._shared.mutated += times
        return self._shared.mutated

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
        at, shared = KINDS.index(kind) * 2 + side, self._shared
        for armed, job in ((shared.aimed[self._running], self._running), (shared.any[at], 0)):
            if armed.left and armed.point == at:
                armed.left -= 1
                if not armed.left:
                    shared.job = job or shared.job
                    self._strike(at, armed.action)

    def _strike(self, at: int, how) -> None:
        if how == signal.SIGSTOP and os.getppid() != self._shared.parent:
            how = signal.SIGKILL        # a worker would wait for its stopped run
        self._shared.struck, self._shared.signal = at + 1, how
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
