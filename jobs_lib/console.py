"""What a person sees: nothing for cron, short lines and a progress bar on a terminal."""
from __future__ import annotations

import os
import sys
import time

BAR = 24
REDRAW_SECONDS = 0.1


class Console:
    """Words on stdout, the bar and failures on stderr. `level`: -1 quiet, 0 as cron wants it, 1 in words."""

    def __init__(self, level: int | None = None) -> None:
        self.terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.level = (1 if sys.stdout.isatty() else 0) if level is None else level
        self._drawn, self._last = False, 0.0
        self.samples: list = []

    def say(self, words: str = "") -> None:
        """A line for someone who looks."""
        if self.level > 0:
            self._wipe()
            print(words)

    def fail(self, words: str) -> None:
        """One clear line on stderr: cron mails it."""
        if self.level >= 0:
            self._wipe()
            print(words, file=sys.stderr)

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Draw the bar, on a terminal only, at most ten times a second."""
        now = time.monotonic()
        if not self.terminal or self.level < 0 or (now - self._last < REDRAW_SECONDS and done != total):
            return
        self._last, self._drawn = now, True
        if total:
            full = BAR * min(done, total) // total
            bar = f"[{'#' * full}{'.' * (BAR - full)}] {done:,} of {total:,}"
        else:
            bar = f"{done:,}"
        sys.stderr.write(f"\r\x1b[K{name} {bar}")
        sys.stderr.flush()

    def sample(self, title: str, rows: list[dict], note: str) -> None:
        """Keep what a dry run found; shown at its end, or inside its JSON."""
        self.samples.append({"step": title, "note": note, "rows": rows})

    def _wipe(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False
