"""What `doctor` prints: a line for each area, and below it what was found."""
from __future__ import annotations

from .console import WIDEST, columns
from .findings import LEVELS
from .layout import wrapped

STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "red"}
AREA, INDENT = 10, "    "


def report(findings, verbose: bool, paint) -> str:
    """All of it; what is fine only as a word, unless `verbose`."""
    width, lines = min(columns(), WIDEST), []
    for area in dict.fromkeys(finding.area for finding in findings):
        here = [finding for finding in findings if finding.area == area]
        worst = max((finding.level for finding in here), key=LEVELS.index)
        lines.append(f"{paint('bold', f'{area:<{AREA}}')}{paint(STYLES[worst], _count(here, worst))}")
        for level in reversed(LEVELS):
            for finding in here:
                if finding.level == level and (verbose or level != "ok"):
                    lines += _told(finding, width, verbose, paint)
    return "\n".join([*lines, "", _sum(findings)])


def _told(finding, width: int, verbose: bool, paint) -> list[str]:
    """The finding in full; a note without its reason, unless `verbose`."""
    what = finding.what.rstrip(".") + "."
    first, *rest = wrapped(f"{finding.level}: {what}", width, "  ", INDENT)
    lines = [first.replace(finding.level, paint(STYLES[finding.level], finding.level), 1), *rest]
    if finding.level == "note" and not verbose:
        return lines
    if finding.why:
        lines += wrapped(_sentence(finding.why), width, INDENT, INDENT)
    words, *commands = finding.mend.split("\n")
    if words:
        lines += wrapped(words, width, f"{INDENT}-> ", INDENT)
    return [*lines, *(INDENT + command for command in commands)]


def _sentence(words: str) -> str:
    """With a capital letter and one full stop."""
    return words[:1].upper() + words[1:].rstrip(".") + "."


def _count(findings, level: str) -> str:
    if level == "ok":
        return "ok"
    return _number(findings, level)


def _number(findings, level: str) -> str:
    number = sum(finding.level == level for finding in findings)
    return f"{number} {level}{'s' if number > 1 else ''}"


def _sum(findings) -> str:
    levels = [level for level in ("problem", "warning", "note") if any(each.level == level
                                                                       for each in findings)]
    if not levels:
        return "All is well."
    numbers = ", ".join(_number(findings, level) for level in levels)
    return f"{numbers}. `jobs.py doctor -v` shows all that was looked at."
