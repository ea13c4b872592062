"""When a run has to end: its budget, a signal, a lost lock, and the hard limit behind them.

The soft reasons are asked for between items (`should_stop`). The hard limit is an alarm that raises
`Stopped` inside whatever hangs, and again each second until it is heard: a library may swallow one.
Code that never returns to Python hears no alarm: a timer of the processor's time that it uses up
lets the system end the process, and the next run calls this one vanished. A process that was frozen
(SIGSTOP, a suspended container) has used none: it hears its alarm, and stores its outcome.
"""
from __future__ import annotations

import time

from jobs_lib import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # What `signal` itself is made from: that makes enumerations of the numbers, and takes 1.5 ms to
    # load with `enum`, a thirtieth of a tick that finds nothing to do.
    import _signal as signal

SIGNALS: dict[int, str] = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "SIGINT",
                          signal.SIGHUP: "SIGHUP"}
AGAIN_SECONDS = 1.0              # between alarms that nobody heard
LAST_RESORT_SECONDS = 10.0       # of the processor, past the hard limit


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
        self.heard = self.heard or SIGNALS[number]
        outer = self._outer(number)
        if outer:
            outer._note(number, frame)

    def _outer(self, number: int):
        owner = getattr(self._before[number], "__self__", None)
        return owner if isinstance(owner, Signals) else None


class ExitOnSignal:
    """SIGTERM and SIGHUP as SystemExit, so that what was begun is put away; as a context manager.
    One that is ignored or handled already stays so."""

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._exit)
                        for number in (signal.SIGTERM, signal.SIGHUP)
                        if signal.getsignal(number) is signal.SIG_DFL}

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @staticmethod
    def _exit(_number, _frame) -> None:
        raise SystemExit(errors.TERMINATED)


class Alarm:
    """Raises `Stopped` with this reason inside whatever hangs, and again each second until it is
    heard: a library may swallow one. Use as a context manager, or by `start` and `restore`.

    first()  is called before the first one: to end what a database is doing
    """

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
        """Cancel it, and go on with the alarm that was set before: a worker has its own."""
        if self._started is None:
            return
        self.cancel()
        # None: a handler that was not set by Python
        signal.signal(signal.SIGALRM, self._handler or signal.SIG_DFL)
        left, again = self._outer
        if left:
            passed = time.monotonic() - self._started
            signal.setitimer(signal.ITIMER_REAL, max(0.01, left - passed), again)

    def _ring(self, _number, _frame) -> None:
        if self._cancelled:
            return
        # forgotten before it is called: the next alarm may come while this one is dealt with
        first, self._first = self._first, None
        if first:
            first()
        raise errors.Stopped(self._reason)


class RunLimits(Signals):
    """When one run has to end. Use as a context manager around all of it, with the work in `run`.

    soft, hard  on the clock of `monotonic()`: the end of the budget, and of the grace after it
    lock        what must still be ours, once it is taken         database  what the run may hang in
    """

    HARD = "hard limit"

    def __init__(self, *, monotonic, budget: float, grace: float) -> None:
        super().__init__()
        self._monotonic = monotonic
        self.started = monotonic()
        self.soft, self.hard = self.started + budget, self.started + budget + grace
        self.lock, self.database = None, None
        self.reason: str | None = None
        self._alarm = Alarm(self.HARD, first=self._interrupt)
        self._ended = False
        # why it is ended by force: what was raised for that may be swallowed
        self.struck: str | None = None

    def stop_reason(self) -> str | None:
        """Why the run is to stop, once it is: that stays."""
        if self.reason is None:
            self.reason = self._reached()
        return self.reason

    def _reached(self) -> str | None:
        self._set_timer()
        if self.heard:
            return self.heard
        if self._monotonic() >= self.soft:
            return "budget"
        return None if self.lock is None or self.lock.check() else "lock lost"

    def stop(self, reason: str) -> None:
        """Stop for a reason of the job's own, such as the relay's hourly limit."""
        self.reason = self.reason or reason

    def run(self, work) -> BaseException | None:
        """Call `work` under the hard limit; what it ended with, if not by itself: Stopped, or
        whatever it raised.

        This is the one place that hears an alarm. What follows stores the outcome, and is struck by
        none.
        """
        ended: BaseException | None = None
        try:
            try:
                signal.signal(signal.SIGPROF, signal.SIG_DFL)
                self._set_timer()
                self._alarm.start(max(0.05, self.hard - self._monotonic()))
                work()
            except BaseException as error:      # noqa: BLE001  given to the caller, with no alarm
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
        """Anew between two items, since time in which a run waits uses up no processor."""
        if self._ended:
            return
        left = max(0.0, self.hard - self._monotonic())
        signal.setitimer(signal.ITIMER_PROF, left + LAST_RESORT_SECONDS)

    def __exit__(self, *_) -> None:
        self._alarm.restore()
        signal.setitimer(signal.ITIMER_PROF, 0)
        super().__exit__()

    def _note(self, number: int, frame) -> None:
        impatient = self.heard == "SIGINT" and number == signal.SIGINT and not self._ended
        super()._note(number, frame)
        if impatient:                    # Ctrl-C twice: a person is waiting
            self.struck = "SIGINT twice"
            raise errors.Stopped(self.struck)

    def _interrupt(self) -> None:
        """As the alarm first rings: end what the database is doing, since a server would go on."""
        self.struck = self.HARD
        if self.database is not None:
            self.database.interrupt()
