"""When a run has to end: its budget, a signal, a lost lock, and the hard limit.

The soft reasons are asked for between items. The hard limit is an alarm that raises `Stopped` in
whatever hangs. Code that never returns to Python hears none: a timer of the processor's time lets
the system end the process, and the next run calls this one vanished. A process that was frozen
(SIGSTOP) has used none of it, hears its alarm, and stores its outcome.
"""
from __future__ import annotations

from jobs_lib import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # what `signal` is made from: that loads `enum`, a thirtieth of an idle tick
    import _signal as signal

SIGNALS: dict[int, str] = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "SIGINT",
                          signal.SIGHUP: "SIGHUP"}
HARD = "hard limit"
AGAIN_SECONDS = 1.0              # between alarms that nobody heard
LAST_RESORT_SECONDS = 10.0       # of the processor, past the hard limit


class Alarm:
    """Raises `Stopped` with this reason in whatever hangs, each second until it is cancelled, as a
    library may swallow one. `first()` is called before: to end what a database is doing."""

    def __init__(self, reason: str, first=None) -> None:
        self._reason, self._first = reason, first
        self._is_over = False

    def start(self, seconds: float) -> None:
        """Ring after so many seconds."""
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)

    def cancel(self) -> None:
        """Ring no more, not even if an alarm is on its way."""
        self._is_over = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, _number, _frame) -> None:
        if self._is_over:
            return
        # forgotten before it is called: the next alarm may come meanwhile
        first, self._first = self._first, None
        if first:
            first()
        raise errors.Stopped(self._reason)


class RunLimits:
    """When one run has to end: a context manager around all of it, with the work in `run`. Within,
    signals are noted instead of obeyed; one that was ignored before (nohup) stays so.

    soft, hard  on the clock of `monotonic()`: the end of the budget, and of the grace after it
    lock        what must still be ours, once it is taken         database  what the run may hang in
    heard       the name of the first signal
    struck      HARD once it is ended by force: what was raised may be swallowed
    """

    def __init__(self, *, monotonic, budget: float, grace: float) -> None:
        self._monotonic = monotonic
        self.started = monotonic()
        self.soft = self.started + budget
        self.hard = self.soft + grace
        self.lock, self.database = None, None
        self.heard: str | None = None
        self.reason: str | None = None
        self.struck: str | None = None
        self._alarm = Alarm(HARD, first=self._interrupt)
        self._before: dict = {}

    def __enter__(self) -> RunLimits:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        return self

    def __exit__(self, *_) -> None:
        self.end()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, work) -> BaseException | None:
        """Call `work` under the hard limit. What it raised, Stopped among it, or None. This is the
        one place that hears an alarm: what follows stores the outcome."""
        ended: BaseException | None = None
        try:
            try:
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
        self._alarm.cancel()
        signal.setitimer(signal.ITIMER_PROF, 0)

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

    def _set_timer(self) -> None:
        """Anew between two items, since to wait uses up no processor."""
        left = max(0.0, self.hard - self._monotonic())
        signal.setitimer(signal.ITIMER_PROF, left + LAST_RESORT_SECONDS)

    def _note(self, number: int, _frame) -> None:
        self.heard = self.heard or SIGNALS[number]

    def _interrupt(self) -> None:
        """End what the database is doing: a server would go on."""
        self.struck = HARD
        if self.database is not None:
            self.database.interrupt()
