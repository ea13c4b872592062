"""When a run has to end: its budget, a signal, a lost lock, and the hard limit.

The soft reasons are asked for between items. The hard limit is an alarm that raises `Stopped` in
whatever hangs. Code that never returns to Python hears none: a timer of the processor's time lets
the system end the process, and the next run calls this one vanished. A process that was frozen
(SIGSTOP) has used none of it, hears its alarm, and stores its outcome.
"""
from __future__ import annotations

import time

from jobs_lib import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # what `signal` is made from: that loads `enum`, a thirtieth of an idle tick
    import _signal as signal

SIGNALS: dict[int, str] = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "SIGINT",
                          signal.SIGHUP: "SIGHUP"}
AGAIN_SECONDS = 1.0              # between alarms that nobody heard
LAST_RESORT_SECONDS = 10.0       # of the processor, past the hard limit


class Signals:
    """Signals noted instead of obeyed, as a context manager. One that was ignored before (nohup)
    stays so. One manager within another hears the same: `run-due` and its runs."""

    def __init__(self) -> None:
        self._heard: str | None = None
        self._before: dict = {}
        self._outer: Signals | None = None

    def __enter__(self):
        for number in SIGNALS:
            before = signal.getsignal(number)
            owner = getattr(before, "__self__", None)
            if isinstance(owner, Signals):
                self._outer = owner
            elif before is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._note)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def heard(self) -> str | None:
        """The name of the first one."""
        return self._outer.heard if self._outer else self._heard

    def _note(self, number: int, _frame) -> None:
        self._heard = self._heard or SIGNALS[number]


class Alarm:
    """Raises `Stopped` with this reason in whatever hangs, and again each second until it is heard:
    a library may swallow one. `first()` is called before: to end what a database is doing."""

    def __init__(self, reason: str, seconds: float = 0.0, first=None) -> None:
        self._reason, self._seconds, self._first = reason, seconds, first
        self._started: float | None = None
        self._cancelled = False

    def __enter__(self) -> Alarm:
        self.start(self._seconds)
        return self

    def __exit__(self, *_) -> None:
        self.restore()

    def start(self, seconds: float) -> None:
        """Ring after so many seconds."""
        self._started = time.monotonic()
        self._handler = signal.signal(signal.SIGALRM, self._ring)
        self._outer = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)

    def cancel(self) -> None:
        """Ring no more, not even if an alarm is on its way."""
        self._cancelled = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def restore(self) -> None:
        """Cancel it, and go on with the alarm before: a worker has one."""
        if self._started is None:
            return
        self.cancel()
        # None: a handler that was not set by Python
        signal.signal(signal.SIGALRM, self._handler or signal.SIG_DFL)
        left, again = self._outer
        if left:
            left -= time.monotonic() - self._started
            signal.setitimer(signal.ITIMER_REAL, max(0.01, left), again)

    def _ring(self, _number, _frame) -> None:
        if self._cancelled:
            return
        # forgotten before it is called: the next alarm may come meanwhile
        first, self._first = self._first, None
        if first:
            first()
        raise errors.Stopped(self._reason)


class RunLimits(Signals):
    """When one run has to end: a context manager around all of it, with the work in `run`.

    soft, hard  on the clock of `monotonic()`: the end of the budget, and of the grace after it
    lock        what must still be ours, once it is taken         database  what the run may hang in
    struck      HARD once it is ended by force: what was raised may be swallowed
    """

    HARD = "hard limit"

    def __init__(self, *, monotonic, budget: float, grace: float) -> None:
        super().__init__()
        self._monotonic = monotonic
        self.started = monotonic()
        self.soft = self.started + budget
        self.hard = self.soft + grace
        self.lock, self.database = None, None
        self.reason: str | None = None
        self.struck: str | None = None
        self._alarm = Alarm(self.HARD, first=self._interrupt)
        self._ended = False

    def stop_reason(self) -> str | None:
        """Why the run is to stop, once it is: that stays."""
        if self.reason is None:
            self._set_timer()
            if self.heard:
                self.reason = self.heard
            elif self._monotonic() >= self.soft:
                self.reason = "budget"
            elif self.lock is not None and not self.lock.check():
                self.reason = "lock lost"
        return self.reason

    def stop(self, reason: str) -> None:
        """Stop for a reason of the job's own, such as the relay's limit."""
        self.reason = self.reason or reason

    def run(self, work) -> BaseException | None:
        """Call `work` under the hard limit. What it raised, Stopped among it, or None.

        This is the one place that hears an alarm: what follows stores the outcome.
        """
        ended: BaseException | None = None
        try:
            try:
                signal.signal(signal.SIGPROF, signal.SIG_DFL)
                self._set_timer()
                self._alarm.start(max(0.05, self.hard - self._monotonic()))
                work()
            except BaseException as error:  # noqa: BLE001  for the caller
                ended = error
            self.end()
        except errors.Stopped as error:
            # struck between those two lines: the next one is a second away
            self.end()
            ended = error
        return ended

    def end(self) -> None:
        """The work is over: no more alarms."""
        self._ended = True
        self._alarm.cancel()

    def _set_timer(self) -> None:
        """Anew between two items, since to wait uses up no processor."""
        if not self._ended:
            left = max(0.0, self.hard - self._monotonic())
            signal.setitimer(signal.ITIMER_PROF, left + LAST_RESORT_SECONDS)

    def __exit__(self, *_) -> None:
        self._alarm.restore()
        signal.setitimer(signal.ITIMER_PROF, 0)
        super().__exit__()

    def _interrupt(self) -> None:
        """End what the database is doing: a server would go on."""
        self.struck = self.HARD
        if self.database is not None:
            self.database.interrupt()
