"""The last resort for a run that hears no alarm, because it is stuck in code that never returns to Python.

In three steps after the hard limit: what the database is doing is interrupted, every second, so that the alarm
is heard behind it; when that is in vain, a thread says one sentence and ends the process; and when the code
holds the whole interpreter, so that no thread runs either, `faulthandler`, which needs none, ends it with a
traceback. The next run finds the row `running` and its lock free, and calls the run vanished.
"""
from __future__ import annotations

import _thread
import faulthandler
import os
import time

from .errors import HARD_LIMIT

HEARING_SECONDS = 1.0            # for the alarm itself; then between two interrupts
LAST_RESORT_SECONDS = 10.0       # after the hard limit the thread ends the process
BEYOND_SECONDS = 3.0             # later, faulthandler does


class Watchdog:
    """`wake()` interrupts what may hang; `last_words(sentence)` is called before the thread ends the process."""

    def __init__(self, wake, last_words) -> None:
        self._wake, self._last_words = wake, last_words
        self._over = _thread.allocate_lock()         # held while the run lasts: who waits for it, waits for the end
        self._waking = _thread.allocate_lock()
        self._heard = False

    def start(self, seconds: float) -> None:
        """Watch a run whose hard limit comes in so many seconds."""
        faulthandler.dump_traceback_later(seconds + LAST_RESORT_SECONDS + BEYOND_SECONDS, exit=True)
        self._over.acquire()
        try:                                         # noqa: SIM105  contextlib is not loaded otherwise
            _thread.start_new_thread(self._watch, (time.monotonic() + seconds,))
        except RuntimeError:
            pass                                     # no thread to be had on this host: faulthandler remains

    def heard(self) -> None:
        """The alarm was heard: nothing is interrupted any more."""
        with self._waking:
            self._heard = True

    def stop(self) -> None:
        """The run is over."""
        faulthandler.cancel_dump_traceback_later()
        self._over.release()

    def _watch(self, hard: float) -> None:
        end = hard + LAST_RESORT_SECONDS
        wait = hard - time.monotonic() + HEARING_SECONDS
        while not self._over.acquire(timeout=max(0.01, min(wait, end - time.monotonic()))):
            wait = HEARING_SECONDS
            if time.monotonic() >= end:
                self._end()
            with self._waking:
                if not self._heard:
                    self._wake()

    def _end(self) -> None:
        try:
            self._last_words(f"stuck {LAST_RESORT_SECONDS:.0f} seconds past its hard limit, in code that hears no "
                             "signal: the process ended itself")
        finally:
            os._exit(HARD_LIMIT)
