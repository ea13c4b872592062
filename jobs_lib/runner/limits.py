"""When a run has to end: its budget, a signal, memory, a lost lock, and the hard limit behind them.

The soft reasons are asked for between items (`should_stop`). The hard limit is an alarm that raises
`Stopped` inside whatever hangs, and again each second until it is heard: a library may swallow one.
What is stuck in C code hears no alarm; that is the watchdog's case (runner/watchdog.py).
"""
from __future__ import annotations

import os
import signal

from jobs_lib.errors import Stopped

from .watchdog import Watchdog

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AGAIN_SECONDS = 1.0              # between alarms that nobody heard
MEMORY_SHARE = 0.9               # of the limit: the rest is for finishing the item in hand


class Signals:
    """SIGTERM, SIGINT and SIGHUP noted instead of obeyed, as a context manager. `heard` is the name
    of the first.

    Nested, each tells the other: `run-due` must know what one of its runs heard, and the run what
    came just before it. A signal that was ignored before (nohup, a shell's background job) stays
    ignored.
    """

    def __init__(self) -> None:
        self.heard: str | None = None
        self._before: dict = {}

    def __enter__(self):
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
                outer = self._outer(number)
                self.heard = self.heard or (outer.heard if outer else None)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame) -> None:
        self.heard = self.heard or signal.Signals(number).name
        outer = self._outer(number)
        if outer:
            outer._note(number, frame)

    def _outer(self, number: int):
        owner = getattr(self._before[number], "__self__", None)
        return owner if isinstance(owner, Signals) else None


class Stops(Signals):
    """Soft and hard ends of one run. Use as a context manager around all of it, with the work in
    `run`.

    lock       what must still be ours, once it is taken         database  what the run may hang in
    last_words(sentence)  called when the process is about to end itself, from another thread
    """

    HARD = "hard limit"

    def __init__(self, *, monotonic, budget: float, grace: float, memory: int | None,
                 last_words=print) -> None:
        super().__init__()
        self._monotonic, self._memory = monotonic, memory
        self.started = monotonic()
        self.soft, self.hard = self.started + budget, self.started + budget + grace
        self.lock, self.database = None, None
        self.reason: str | None = None
        self._watchdog = Watchdog(self._wake, last_words)
        self._alarmed = self._calm = False
        self._others_timer = (0.0, 0.0)

    def asked(self) -> str | None:
        """The reason to stop, once there is one; it stays."""
        if self.reason is None:
            self.reason = self._look()
        return self.reason

    def _look(self) -> str | None:
        if self.heard:
            return self.heard
        if self._monotonic() >= self.soft:
            return "budget"
        if self._memory and resident_bytes() > self._memory * MEMORY_SHARE:
            return "memory"
        return None if self.lock is None or self.lock.check() else "lock lost"

    def because(self, reason: str) -> None:
        """Stop for a reason of the job's own, such as the relay's hourly limit."""
        self.reason = self.reason or reason

    def __enter__(self):
        super().__enter__()
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._alarm)
        return self

    def run(self, work) -> BaseException | None:
        """Call `work` under the hard limit; what it ended with, if not by itself: Stopped, or
        whatever it raised.

        This is the one place that hears an alarm. What follows stores the outcome, and is struck by
        none.
        """
        ended: BaseException | None = None
        try:
            try:
                left = max(0.05, self.hard - self._monotonic())
                self._others_timer = signal.setitimer(signal.ITIMER_REAL, left, AGAIN_SECONDS)
                self._watchdog.start(left)
                work()
            except BaseException as error:      # noqa: BLE001  given to the caller, once no alarm can come any more
                ended = error
            self.calm()
        except Stopped as error:
            # struck between those two lines: the next one is a second away
            self.calm()
            ended = error
        return ended

    def calm(self) -> None:
        """No more alarms. The watchdog stays."""
        self._calm = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._watchdog.heard()

    def __exit__(self, *_) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._watchdog.stop()
        super().__exit__()
        left, again = self._others_timer         # a worker's own alarm around the run
        if left:
            signal.setitimer(signal.ITIMER_REAL,
                             max(0.01, left - (self._monotonic() - self.started)), again)

    def _note(self, number: int, frame) -> None:
        impatient = self.heard == "SIGINT" and number == signal.SIGINT and not self._calm
        super()._note(number, frame)
        if impatient:                    # Ctrl-C twice: a person is waiting
            raise Stopped("SIGINT twice")

    def _alarm(self, _number, _frame) -> None:
        if self._calm:                           # it was on its way already
            return
        if not self._alarmed:
            # the next alarm may come while this one is dealt with
            self._alarmed = True
            self._wake()
        raise Stopped(self.HARD)

    def _wake(self) -> None:
        """End what the database is doing: a server would go on with it, and SQLite's own code hears
        no alarm."""
        if self.database is not None:
            self.database.interrupt()


def resident_bytes() -> int:
    """The memory this process holds now; its peak where the system has no /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
