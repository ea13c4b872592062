"""Setting one option in the text of config.ini or .env: everything else stays as it is, comments,
order and line ends too."""
from __future__ import annotations

import re

BOM = "\ufeff"


def with_option(text: str, section: str, option: str, value: str, default: str = "") -> str:
    """config.ini with this option set: in its own line, in that of the example that has it
    commented out with its default, or at the end of its section, which is added if it is missing.
    """
    lines, end = _lines(text)
    line = f"{option} = {value}".rstrip()
    last = None
    for first, after in _sections(lines, section):
        found = _options(lines, first, after)
        if option in found:
            begin, past = found[option]
            return _joined([*lines[:begin], line, *_comments(lines[begin + 1:past]),
                            *lines[past:]], end)
        for number in range(first, after):
            if commented := re.fullmatch(rf"\s*[#;]\s*{re.escape(option)}\s*=(.*)", lines[number],
                                         re.IGNORECASE):
                last = number + 1
                if commented[1].strip() in ("", default):
                    return _joined([*lines[:number], line, *lines[number + 1:]], end)
        last = last or max((past for _, past in found.values()), default=first)
    if last is None:
        gap = [""] if lines and lines[-1].strip() else []
        return _joined([*lines, *gap, f"[{section}]", line], end)
    return _joined([*lines[:last], line, *lines[last:]], end)


def without_option(text: str, section: str, option: str, note: str) -> str:
    """config.ini with a comment, `note`, in the place of the lines that set this option."""
    lines, end = _lines(text)
    for first, after in _sections(lines, section):
        if option in (found := _options(lines, first, after)):
            begin, past = found[option]
            lines = [*lines[:begin], f"# {note}", *_comments(lines[begin + 1:past]), *lines[past:]]
            return _joined(lines, end)
    return text


def with_variable(text: str, name: str, value: str) -> str:
    """.env with this variable set: in its own line, or at the end."""
    lines, end = _lines(text)
    line = f"{name}={quoted(value)}"
    # a value in quotes may go on over several lines: it is replaced as a whole
    pattern = re.compile(rf"""(?m)^[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*=[ \t]*"""
                         r"""(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\n]*)[^\n]*$""")
    whole = "\n".join(lines)
    changed, times = pattern.subn(lambda _: line, whole, count=1)
    return _joined(changed.split("\n") if times else [*lines, line], end)


def quoted(value: str) -> str:
    """A value as .env has it: nothing is replaced within single quotes but these two signs."""
    if re.fullmatch(r"[\w@%+:,./-]+", value, re.ASCII):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _lines(text: str) -> tuple[list[str], str]:
    """(the lines, what ends each of them); without the mark that some editors begin a file with."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.lstrip(BOM).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines, end


def _joined(lines: list[str], end: str) -> str:
    return "".join(line + end for line in lines)


def _sections(lines: list[str], section: str):
    """(first line after its heading, line after its last) of each such section."""
    heads = [number for number, line in enumerate(lines)
             if (words := line.strip())[:1] == "[" and words[-1] == "]"
             and not (line[0] in " \t" and _continues(lines, number))]
    for number, after in zip(heads, [*heads[1:], len(lines)]):
        if lines[number].strip()[1:-1].strip() == section:
            yield number + 1, after


def _continues(lines: list[str], number: int) -> bool:
    """Whether an indented line goes on with a value, as files.read_ini reads it."""
    for line in reversed(lines[:number]):
        words = line.strip()
        if words and words[0] not in "#;" and line[0] not in " \t":
            return words[0] != "[" and "=" in words
    return False


def _options(lines: list[str], first: int, after: int) -> dict:
    """{option: (its line, the line after its value)} of those that are set between two lines."""
    found: dict = {}
    option = None
    for number in range(first, after):
        line, words = lines[number], lines[number].strip()
        if not words or words[0] in "#;":
            continue
        if line[0] in " \t" and option:
            found[option] = (found[option][0], number + 1)
        elif "=" in words:
            option = words.partition("=")[0].strip().lower()
            found[option] = (number, number + 1)
    return found


def _comments(lines: list[str]) -> list[str]:
    return [line for line in lines if line.strip()[:1] in ("#", ";")]
