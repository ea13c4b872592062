"""What a person sees: nothing for cron, short lines and a progress bar on a terminal."""
from __future__ import annotations

import os
import sys
import time
from datetime import timedelta

BAR, LEAST_BAR = 24, 4           # columns
REDRAW_SECONDS = 0.1
NARROW, WIDEST = 80, 100         # columns: of a terminal that does not tell, and as far as text is read well


class Console:
    """Words on stdout, the bar and failures on stderr. `level`: -1 quiet, 0 as cron wants it, 1 in words."""

    def __init__(self, level: int | None = None) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):          # one that cannot show an umlaut must not end a run
                stream.reconfigure(errors="backslashreplace")
        self.terminal = _is_terminal(sys.stderr) and os.environ.get("TERM", "dumb") != "dumb"
        self.level = (1 if _is_terminal(sys.stdout) else 0) if level is None else level
        self._drawn, self._last = False, 0.0
        self.samples: list = []

    def say(self, words: str = "") -> None:
        """A line for someone who looks."""
        if self.level > 0:
            self.tell(words)

    def tell(self, words: str) -> None:
        """A sentence that was asked for, on stdout, whoever reads it."""
        self.answer(folded(words, sys.stdout))

    def answer(self, text: str) -> None:
        """A table or a document that was asked for, on stdout as it is."""
        self.wipe()
        print(text)

    def fail(self, words: str) -> None:
        """One clear line on stderr: cron mails it."""
        self.wipe()
        if self.level >= 0:
            print(folded(words, sys.stderr), file=sys.stderr)

    def progress(self, name: str, done: int, total: int | None, rate: float | None = None,
                 seconds_left: int | None = None) -> None:
        """Draw the bar, on a terminal only, at most ten times a second: done, items a second, time left."""
        now = time.monotonic()
        if not self.terminal or self.level < 0 or (now - self._last < REDRAW_SECONDS and done != total):
            return
        self._last, self._drawn = now, True
        words = [f"{done:,} of {total:,}" if total else f"{done:,}"]
        if rate:
            words.append(f"{rate:,} a second")
        if seconds_left:
            from .render.times import span
            words.append(f"{span(timedelta(seconds=seconds_left))} left")
        line, width = ", ".join(words), columns(sys.stderr) - 1
        room = min(BAR, width - len(f"{name} [] {line}"))       # the words are worth more than the bar
        if total and room >= LEAST_BAR:
            full = room * min(done, total) // total
            line = f"[{'#' * full}{'.' * (room - full)}] {line}"
        sys.stderr.write(f"\r\x1b[K{f'{name} {line}'[:width]}")
        sys.stderr.flush()

    def sample(self, title: str, rows: list[dict], note: str) -> None:
        """Keep what a dry run found; shown at its end, or inside its JSON."""
        self.samples.append({"step": title, "note": note, "rows": rows})

    def wipe(self) -> None:
        """Take the bar away, so that what follows begins on an empty line."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def folded(text: str, stream) -> str:
    """The text with its long lines folded between words, on a terminal only: who reads a pipe wants whole lines."""
    if not _is_terminal(stream):
        return text
    import textwrap
    width, lines = min(columns(stream), WIDEST), []
    for line in text.split("\n"):
        indent = line[:len(line) - len(line.lstrip())]
        lines.append(line if len(line) <= width else textwrap.fill(
            line, width, subsequent_indent=indent + "  ", break_long_words=False, break_on_hyphens=False))
    return "\n".join(lines)


def columns(stream=None) -> int:
    """How wide the terminal behind a stream is; 80 where there is none. `COLUMNS` wins, as everywhere."""
    wanted = os.environ.get("COLUMNS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns or NARROW
    except (AttributeError, ValueError, OSError):       # closed, captured, or no terminal
        return NARROW


def _is_terminal(stream) -> bool:
    return stream is not None and stream.isatty()
