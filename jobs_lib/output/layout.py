"""Text in columns and paragraphs, as wide as the terminal."""
from __future__ import annotations

import textwrap

from jobs_lib.database.stored import one_line

INDENT, GAP = "  ", "  "
NARROWEST = 8  # columns, of a table's column that has to give way


def paragraphs(text: str, width: int, indent: str = "") -> list[str]:
    """The text's paragraphs, folded; one with an indented line is a table or a list, and is not
    changed."""
    lines: list[str] = []
    for block in text.strip().split("\n\n"):
        if lines:
            lines.append("")
        if any(line[:1] in (" ", "\t") for line in block.split("\n")):
            lines += [indent + line for line in block.strip("\n").split("\n")]
        else:
            lines += wrapped(block, width, indent, indent)
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


def table(rows: list, sides: str = "", width: int | None = None, widest: int = 500) -> list[str]:
    """Rows of values as lines in columns. `sides`: `l` or `r` for each column, left by default.

    A value has at most `widest` characters, and fewer where `width` asks for it: times lose their
    seconds then, and the widest columns give way.
    """
    cells = [[cell(value, widest) for value in row] for row in rows]
    if _too_wide(_rooms(cells), width):
        cells = [[_without_seconds(text) for text in row] for row in cells]
    rooms = _rooms(cells)
    while _too_wide(rooms, width) and max(rooms) > NARROWEST:
        rooms[rooms.index(max(rooms))] -= 1
    sides = sides or "l" * len(rooms)
    return [GAP.join(cell(text, room).rjust(room) if side == "r" else cell(text, room).ljust(room)
                     for text, room, side in zip(row, rooms, sides)).rstrip() for row in cells]


def cell(value, widest: int) -> str:
    """A value on one line, cut with an ellipsis; `-` for none."""
    return "-" if value is None else one_line(str(value), widest)


def _rooms(cells: list[list[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*cells)]


def _too_wide(rooms: list[int], width: int | None) -> bool:
    return width is not None and sum(rooms) + len(GAP) * (len(rooms) - 1) > width


def _without_seconds(text: str) -> str:
    """A time of the database without them."""
    is_time = len(text) == 19 and (text[4], text[7], text[10], text[13], text[16]) == tuple("-- ::")
    return text[:-3] if is_time else text
