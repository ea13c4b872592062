"""Text in columns and paragraphs, as wide as the terminal."""
from __future__ import annotations

import textwrap

GAP, INDENT = 2, 2


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
    rest = " " * (INDENT + room + GAP)
    return [line for name, meaning in rows
            for line in wrapped(meaning, width, f"{' ' * INDENT}{name:<{room}}{' ' * GAP}", rest)]


def cut(line: str, width: int) -> str:
    """The line, with an ellipsis for what is past `width`."""
    return line if len(line) <= width else line[:width - 3].rstrip() + "..."


def one_line(value: object) -> str:
    """A value on one line, without control characters."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(value)).split())
