"""What `doctor` prints: a line for each area, and below it what was found."""
from __future__ import annotations

from .console import WIDEST, columns
from .findings import LEVELS
from .layout import wrapped

STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "red"}
AREA, INDENT = 10, "  "


def report(findings, verbose: bool, paint) -> str:
    """All of it; what is fine only as a word, unless `verbose`."""
    width, lines = min(columns(), WIDEST), []
    for area in dict.fromkeys(finding.area for finding in findings):
        here = [finding for finding in findings if finding.area == area]
        worst = max((finding.level for finding in here), key=LEVELS.index)
        lines.append(paint("bold", f"{area:<{AREA}}") + paint(STYLES[worst], _number(here, worst)))
        for level in reversed(LEVELS):
            for finding in here:
                if finding.level == level and (verbose or level != "ok"):
                    shown = in_full if verbose or level != "note" else in_short
                    lines += [f"  {line}" for line in shown(finding, width - 2, paint)]
    return "\n".join([*lines, "", _sum(findings)])


def in_full(finding, width: int, paint) -> list[str]:
    """Its lines: what, why, and how to fix it."""
    lines = in_short(finding, width, paint)
    if finding.why:
        lines += wrapped(_sentence(finding.why), width, INDENT, INDENT)
    text, *commands = finding.fix.split("\n")
    if text:
        lines += wrapped(text, width, f"{INDENT}-> ", INDENT)
    return [*lines, *(INDENT + command for command in commands)]


def in_short(finding, width: int, paint) -> list[str]:
    """What was found, without reason and fix."""
    what = finding.what.rstrip(".") + "."
    first, *rest = wrapped(f"{finding.level}: {what}", width, "", INDENT)
    return [first.replace(finding.level, paint(STYLES[finding.level], finding.level), 1), *rest]


def _sentence(words: str) -> str:
    """With a capital letter and one full stop."""
    return words[:1].upper() + words[1:].rstrip(".") + "."


def _number(findings, level: str) -> str:
    if level == "ok":
        return "ok"
    number = sum(finding.level == level for finding in findings)
    return f"{number} {level}{'s' if number > 1 else ''}"


def _sum(findings) -> str:
    levels = [level for level in ("problem", "warning", "note") if any(each.level == level
                                                                       for each in findings)]
    if not levels:
        return "All is well."
    numbers = ", ".join(_number(findings, level) for level in levels)
    return f"{numbers}. `jobs.py doctor -v` shows all that was looked at."
