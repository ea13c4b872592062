"""The last resort for a run that hears no alarm, because it is stuck in code that never returns to
Python.

In three steps after the hard limit: what the database is doing is interrupted, every second, so
that the alarm is heard behind it; when that is in vain, a thread says one sentence and ends the
process; and when the code holds the whole interpreter, so that no thread runs either, a timer of
the processor time that such code uses up ends it by SIGPROF, with a traceback. The next run finds
the row `running` and its lock free, and calls the run vanished.

Time in which the process was frozen (SIGSTOP, a suspended container) does not count: what wakes up
past its limit has the alarm to hear, and the time to store its outcome.
"""
from __future__ import annotations

import _thread
import faulthandler
import os
import time

from jobs_lib.errors import HARD_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    # What `signal` itself is made from: that makes enumerations of the numbers, and takes 1.5 ms to
    # load with `enum`, a thirtieth of a tick that finds nothing to do.
    import _signal as signal

HEARING_SECONDS = 1.0            # for the alarm itself; then between two interrupts
LAST_RESORT_SECONDS = 10.0       # after the hard limit the thread ends the process
BEYOND_SECONDS = 3.0             # later, the timer does
# between two looks of the thread, each of which sets the timer again
STEP_SECONDS = 5.0
# late by so much without having used the processor, the process did not run
FROZEN_SECONDS = 2.0


class Watchdog:
    """`wake()` interrupts what may hang; `last_words(sentence)` is called before the thread ends
    the process."""

    def __init__(self, wake, last_words) -> None:
        self._wake, self._last_words = wake, last_words
        # held while the run lasts: who waits for it, waits for the end
        self._over = _thread.allocate_lock()
        self._timer = _thread.allocate_lock()        # for an instant, while the timer is set
        self._heard = self._stopped = False

    def start(self, seconds: float) -> None:
        """Watch a run whose hard limit comes in so many seconds. What this host has not got for it,
        is left out."""
        try:                                # noqa: SIM105  contextlib is not loaded otherwise
            faulthandler.register(signal.SIGPROF, all_threads=True, chain=True)
        except (AttributeError, OSError, RuntimeError, ValueError):
            # no stderr: it is ended all the same, without a traceback
            pass
        hard = time.monotonic() + seconds
        self._set_timer(hard + LAST_RESORT_SECONDS)
        self._over.acquire()
        try:                                         # noqa: SIM105
            _thread.start_new_thread(self._watch, (hard,))
        except (RuntimeError, MemoryError):
            # no thread to be had on this host: the timer remains
            pass

    def heard(self) -> None:
        """The alarm was heard: nothing is interrupted any more."""
        # without a lock: to interrupt a server may take seconds
        self._heard = True

    def stop(self) -> None:
        """The run is over."""
        with self._timer:
            self._stopped = True
            signal.setitimer(signal.ITIMER_PROF, 0)
        if self._over.locked():
            self._over.release()
        faulthandler.unregister(signal.SIGPROF)

    def _set_timer(self, end: float) -> None:
        with self._timer:
            if not self._stopped:
                signal.setitimer(signal.ITIMER_PROF,
                                 max(1.0, end + BEYOND_SECONDS - time.monotonic()))

    def _watch(self, hard: float) -> None:
        end, first = hard + LAST_RESORT_SECONDS, hard + HEARING_SECONDS
        while True:
            began, used = time.monotonic(), time.process_time()
            wait = max(0.01, min(STEP_SECONDS, first - began if began < first else HEARING_SECONDS,
                                 end - began))
            if self._over.acquire(timeout=wait):
                return
            now = time.monotonic()
            late = now - began - wait
            if late > FROZEN_SECONDS and time.process_time() - used < late / 2:
                end = max(end, now + LAST_RESORT_SECONDS)
            if now >= end:
                self._end()
            self._set_timer(end)
            if now >= first and not self._heard:
                self._wake()

    def _end(self) -> None:
        try:
            self._last_words(f"stuck {LAST_RESORT_SECONDS:.0f} seconds past its hard limit, in "
                             "code that hears no signal: the process ended itself")
        finally:
            os._exit(HARD_LIMIT)
