"""Text in columns and paragraphs, as wide as the terminal, and times in the configured zone."""
from __future__ import annotations

import textwrap

from jobs_lib import clock
from jobs_lib.text import one_line

from . import terminal

INDENT, GAP = "  ", "  "
UNKNOWN = "unknown"
BELOW = "    "  # an indented paragraph
NARROWEST = 8  # columns, of a table's column that has to give way


def paragraphs(text: str, indent: str = "") -> list[str]:
    """The text's paragraphs, folded, but for those with an indented line."""
    lines: list[str] = []
    for block in text.strip().split("\n\n"):
        if lines:
            lines.append("")
        if any(line[:1] in (" ", "\t") for line in block.split("\n")):
            lines += [indent + line for line in block.strip("\n").split("\n")]
        else:
            lines += wrapped(block, terminal.width(), indent, indent)
    return lines


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """One paragraph as lines; a path or a URL is never broken."""
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest,
                         break_long_words=False, break_on_hyphens=False) or [first.rstrip()]


def pairs(rows: list[tuple[str, str]], width: int) -> list[str]:
    """(name, meaning) in two columns, the meaning folded within its own."""
    room = max((len(name) for name, _ in rows), default=0)
    rest = INDENT + " " * room + GAP
    return [line for name, meaning in rows
            for line in wrapped(meaning, width, f"{INDENT}{name:<{room}}{GAP}", rest)]


def table(rows: list, sides: str = "", width: int = 0, widest: int = 500) -> list[str]:
    """Rows of values as lines in columns. `sides`: for each column `l` for left, as by default, `k`
    for left and kept whole, or `r` for right.

    A value has at most `widest` characters; where `width` asks for fewer, the widest `l` gives way.
    """
    cells = [[cell(value, widest) for value in row] for row in rows]
    rooms = [max(map(len, column)) for column in zip(*cells)]
    sides = sides or "l" * len(rooms)
    left = [at for at, side in enumerate(sides) if side == "l"]
    while width and sum(rooms) + len(GAP) * (len(rooms) - 1) > width:
        gives_way = max(left, key=rooms.__getitem__)
        if rooms[gives_way] <= NARROWEST:
            break
        rooms[gives_way] -= 1
    return [GAP.join(cell(text, room).rjust(room) if side == "r" else cell(text, room).ljust(room)
                     for text, room, side in zip(row, rooms, sides)).rstrip() for row in cells]


def cell(value, widest: int) -> str:
    """A value on one line, cut with an ellipsis; `-` for none."""
    return "-" if value is None else one_line(str(value), widest)


class Screen:
    """`now`, the `zone`, and the `width` in columns."""

    def __init__(self, session) -> None:
        self.zone, self.now = session.config.zone(), session.ports.now()
        self.width = terminal.width()

    def at(self, text: str | None) -> str:
        """A time of the database: `27 Nov 03:17`, or `27 Nov 2025`; `-` for None."""
        found = clock.shown(text)
        if found is None:
            return "-" if text is None else UNKNOWN
        return found.astimezone(self.zone).strftime(
            "%d %b %H:%M" if abs((found - self.now).days) < 180 else "%d %b %Y")

    def clock(self) -> str:
        """The last line of an answer with times in it."""
        return f"It is {self.at(clock.text(self.now))} in {self.zone}."

    def below(self, text: str) -> list[str]:
        """An indented paragraph below a heading."""
        return wrapped(text, self.width, BELOW, BELOW)
