"""Findings: what was found, why it matters and how to fix it, each a sentence; and how `doctor`,
`config check` and `status` print them."""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib.records import namedtuple
from jobs_lib.text import span

from .console import WIDEST, columns
from .layout import wrapped

AREA, INDENT = 10, "  "
# from good to bad, with a colour each
LEVELS = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "red"}

Finding = namedtuple("Finding", "level area what why fix", defaults=("", ""))
Finding.__doc__ = """One finding.

level  one of LEVELS
area   the module in doctor/ that found it; filled in there
what   a sentence, without its full stop
why    it matters; "" for what is fine
fix    what to do; lines after the first that begin with two spaces are to be copied as they are
"""
# as it should be; good to know
ok, note = partial(Finding, "ok", ""), partial(Finding, "note", "")
# works, but perhaps not for long, or not as intended
warning = partial(Finding, "warning", "")
# does not work, or is open to others: only this makes `doctor` exit with 1
problem = partial(Finding, "problem", "")


def of_incident(each: dict) -> Finding:
    """Of monitoring/overview.py."""
    lasts = f" (for {span(timedelta(seconds=each['seconds']))})" if each["seconds"] else ""
    error = f" Last error: {each['error']}" if each["error"] else ""
    return problem(each["subject"] + lasts, each["what"] + error, run("", each["command"]))


def run(words: str, *commands: str) -> str:
    """A `fix` whose commands or statements stand on lines of their own."""
    return "\n".join([words, *(f"  {line}" for command in commands
                               for line in command.split("\n"))])


def report(findings: list[Finding], paint) -> str:
    """A line for each area, and below it what was found but for what is fine."""
    lines: list[str] = []
    for area in dict.fromkeys(finding.area for finding in findings):
        here = sorted((finding for finding in findings if finding.area == area),
                      key=lambda finding: [*LEVELS].index(finding.level), reverse=True)
        worst = here[0].level
        lines.append(paint("bold", f"{area:<{AREA}}") + paint(LEVELS[worst], _number(here, worst)))
        lines += [f"  {line}" for finding in here if finding.level != "ok"
                  for line in in_full(finding, paint)]
    numbers = ", ".join(_number(findings, level) for level in reversed([*LEVELS])
                        if level != "ok" and _count(findings, level))
    return "\n".join([*lines, "", f"{numbers}." if numbers else "All is well."])


def in_full(finding: Finding, paint) -> list[str]:
    """Its lines: what, why, and how to fix it."""
    width = min(columns(), WIDEST) - len(INDENT)
    first, *lines = wrapped(f"{finding.level}: {sentence(finding.what)}", width, "", INDENT)
    first = first.replace(finding.level, paint(LEVELS[finding.level], finding.level), 1)
    if finding.why:
        why = finding.why[:1].upper() + finding.why[1:]
        lines += wrapped(sentence(why), width, INDENT, INDENT)
    text, *commands = finding.fix.split("\n")
    if text:
        lines += wrapped(text, width, f"{INDENT}-> ", INDENT)
    return [first, *lines, *(INDENT + command for command in commands)]


def sentence(words: str) -> str:
    """With one mark at its end."""
    return words if words.endswith("?") else words.rstrip(".") + "."


def _count(findings: list[Finding], level: str) -> int:
    return sum(finding.level == level for finding in findings)


def _number(findings: list[Finding], level: str) -> str:
    number = _count(findings, level)
    return "ok" if level == "ok" else f"{number} {level}{'s' if number > 1 else ''}"
