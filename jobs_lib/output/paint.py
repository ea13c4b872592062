"""Colours: on a terminal only, never where NO_COLOR is set (https://no-color.org) or TERM is
missing or dumb."""
from __future__ import annotations

import os

# Stands for `ESC [` until the console writes it: no row can hold it, so that no row can colour
# anything.
MARK = f"\x1b{os.urandom(8).hex()}["
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Paint:
    """`paint("bold", "Words")`; without colours the words stay as they are."""

    def __init__(self, stream, environ=os.environ) -> None:
        terminal = stream is not None and stream.isatty()           # None: `>&-`
        able = environ.get("TERM", "dumb") not in ("", "dumb")
        self.colours = terminal and able and not environ.get("NO_COLOR")

    def __call__(self, style: str, words: str) -> str:
        """The words in a style of `STYLES`; "" is none."""
        if not (style and words and self.colours):
            return words
        return f"{MARK}{STYLES[style]}m{words}{MARK}0m"
