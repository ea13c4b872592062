"""The points of a process at which something can strike it: statements, commits, messages,
requests, and what is done to files. Installed in a forked child, on the product's own functions.

A strike is armed in shared memory as a countdown: at the n-th point of its kind from now on, in
whichever process that is, the process is ended, stopped or asked to end.
"""
from __future__ import annotations

import os
import signal

from .clock import Shared

# Each kind has two sides: just before, and just after.
KINDS = ("statement", "commit", "message", "request", "unlink", "rename", "write")
SIDES = ("before", "after")
POINTS = tuple(f"{side} {kind}" for kind in KINDS for side in SIDES)
ACTIONS = (None, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
# Places in the shared memory: how many points of a kind there were, the countdown, the action, and
# how often it has struck.
SEEN, LEFT, ACTION, STRUCK = 16, 64, 112, 160
# Where the last strike was (the index of its point, plus one), and its signal; who forks the
# processes of the product.
REPORT, SIGNAL, PARENT = 208, 209, 210


class Strikes:
    """What is armed, and what has struck."""

    def __init__(self, shared: Shared) -> None:
        self._counts = shared.counts
        self._counts[PARENT] = os.getpid()

    def arm(self, point: str, number: int, action: int) -> None:
        """Strike at that point, the `number`-th of its kind from now on."""
        at = POINTS.index(point)
        self._counts[LEFT + at], self._counts[ACTION + at] = number, ACTIONS.index(action)

    def armed(self, point: str) -> int:
        """How many points of the kind are left until it strikes; 0: nothing is armed."""
        return self._counts[LEFT + POINTS.index(point)]

    def disarm(self) -> None:
        """Nothing strikes any more."""
        for at in range(len(POINTS)):
            self._counts[LEFT + at] = 0

    def last(self) -> str:
        """The last strike in words, forgotten by this question; or ""."""
        at, self._counts[REPORT] = self._counts[REPORT], 0
        return f"{signal.Signals(self._counts[SIGNAL]).name} {POINTS[at - 1]}" if at else ""

    def seen(self) -> dict[str, int]:
        """How many points of each kind there were."""
        return {point: self._counts[SEEN + at] for at, point in enumerate(POINTS)}

    def struck(self) -> dict[str, int]:
        """How often each kind was struck."""
        return {point: self._counts[STRUCK + at] for at, point in enumerate(POINTS)}

    def reached(self, kind: str, side: int) -> None:
        """The process is at such a point."""
        at = KINDS.index(kind) * 2 + side
        counts = self._counts
        counts[SEEN + at] += 1
        if counts[LEFT + at]:
            counts[LEFT + at] -= 1
            if not counts[LEFT + at]:
                counts[STRUCK + at] += 1
                how = ACTIONS[counts[ACTION + at]]
                if how == signal.SIGSTOP and os.getppid() != counts[PARENT]:
                    how = signal.SIGKILL        # a worker would wait for its stopped run
                counts[REPORT], counts[SIGNAL] = at + 1, how
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
    """Put the points into this process."""
    from jobs_lib.database.connection import Database

    run = Database._run

    def _run(self, sql, *args, **named):
        kind = "commit" if sql == "COMMIT" else "statement"
        strikes.reached(kind, 0)
        result = run(self, sql, *args, **named)
        strikes.reached(kind, 1)
        return result
    Database._run = _run
    for kind, names in (("unlink", ("unlink", "remove")), ("rename", ("rename", "replace", "link")),
                        ("write", ("fsync",))):
        for name in names:
            setattr(os, name, strikes.around(kind, getattr(os, name)))
