"""A terminal: how wide it is, what it may be given to show, and colours."""
from __future__ import annotations

import os
import sys

# columns: of a terminal of unknown width, and as far as text is read well
NARROW, WIDEST = 80, 100

# Stands for `ESC [` until it is written: no row can hold it, so that no row can colour anything.
MARK = f"\x1b{os.urandom(8).hex()}["
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Terminal:
    """A standard stream that is one. It obeys no character of a text: what would move the cursor,
    reverse the writing or hide something is shown as \\u001b, as JSON writes it."""

    def __init__(self, stream) -> None:
        self.bare = stream

    def write(self, text: str) -> int:
        """All of it, as a terminal may be given it."""
        self.bare.write(visible(text))
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self.bare, name)


def guard() -> None:
    """From here on nothing that is printed steers a terminal."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            # a stream without umlauts must not end a run
            stream.reconfigure(errors="backslashreplace")
        if is_terminal(stream) and not isinstance(stream, Terminal):
            setattr(sys, name, Terminal(stream))


def visible(text: str) -> str:
    """The text as a terminal may be given it."""
    if text.isascii() and text.isprintable():
        return text
    return "\x1b[".join(map(_escaped, text.split(MARK)))


def _escaped(text: str) -> str:
    from json import dumps
    from unicodedata import category
    return "".join(sign if sign.isprintable() or sign in "\n\t" or category(sign) == "Zs"
                   else dumps(sign)[1:-1] for sign in text)


def paint(style: str, words: str) -> str:
    """The words in a style of `STYLES`, on a terminal only, never where NO_COLOR is set
    (https://no-color.org) or TERM is missing or dumb; else they stay as they are."""
    if not (style and words and is_terminal(sys.stdout)) or os.environ.get("NO_COLOR") or (
            os.environ.get("TERM", "dumb") in ("", "dumb")):
        return words
    return f"{MARK}{STYLES[style]}m{words}{MARK}0m"


def folded(text: str, stream) -> str:
    """The text, on a terminal with its long lines folded between words."""
    if not is_terminal(stream):
        return text
    import textwrap
    lines = []
    for line in text.split("\n"):
        indent = line[:len(line) - len(line.lstrip())]
        lines.append(line if len(line) <= width() else textwrap.fill(
            line, width(), subsequent_indent=indent + "  ", break_long_words=False,
            break_on_hyphens=False))
    return "\n".join(lines)


def columns() -> int:
    """How wide the terminal is; `COLUMNS` wins, as everywhere."""
    from shutil import get_terminal_size
    return get_terminal_size((NARROW, 0)).columns or NARROW


def width() -> int:
    return min(columns(), WIDEST)


def is_terminal(stream) -> bool:
    """Whether a person sees it."""
    return stream is not None and stream.isatty()       # None: `>&-`
