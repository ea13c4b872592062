"""What a person sees: nothing under cron, short lines on a terminal."""
from __future__ import annotations

import sys

from .terminal import folded, guard, is_terminal


class Console:
    """Text and failures. `level`: -1 nothing, 0 only failures, 1 everything."""

    def __init__(self, level: int | None) -> None:
        guard()
        self.level = int(is_terminal(sys.stdout)) if level is None else level
        self.samples: list = []

    def say(self, words: str) -> None:
        """Print a line for someone at a terminal."""
        if self.level > 0:
            self.report(words)

    def report(self, words: str) -> None:
        """Print a sentence that was asked for, on stdout, at every level."""
        self.answer(folded(words, sys.stdout))

    def answer(self, text: str) -> None:
        """A table or a document that was asked for, on stdout as it is."""
        print(text)

    def document(self, value) -> None:
        """The answer to `--json`; in ASCII on a terminal: texts may be anybody's."""
        import json
        self.answer(json.dumps(value, default=str, ensure_ascii=is_terminal(sys.stdout)))

    def fail(self, words: str) -> None:
        """One clear line on stderr: cron mails it."""
        if self.level >= 0:
            # where both go to one file, in the order of what was said; None: `>&-`
            print(end="", flush=True)
            text = folded(words, sys.stderr)
            try:  # noqa: SIM105  contextlib is not loaded otherwise
                print(text, file=sys.stderr)
            except OSError:  # nobody will ever read it, and the jobs have to go on
                pass

    def sample(self, title: str, rows: list[dict], note: str) -> None:
        """Keep what a dry run found; shown at its end, or inside its JSON."""
        self.samples.append({"step": title, "note": note, "rows": rows})

    def show_dry_run(self, result: dict) -> None:
        from .listing import dry_lines
        self.answer("\n".join([f"{result['job']}, dry run: nothing is changed",
                               *dry_lines(result, self.samples)]))
