"""Findings: what was found, why it matters and how to fix it, each a sentence; and how `doctor`,
`config check` and `status` print them."""
from __future__ import annotations

from datetime import timedelta
from functools import partial

from jobs_lib.records import namedtuple
from jobs_lib.text import capital, counted, span

from .layout import INDENT, wrapped
from .terminal import paint, width

AREA = 10       # columns
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


def report(findings: list[Finding]) -> str:
    """A line for each area, and below it what was found but for what is fine."""
    lines: list[str] = []
    order = [*LEVELS]
    for area in dict.fromkeys(finding.area for finding in findings):
        here = sorted((finding for finding in findings if finding.area == area),
                      key=lambda finding: order.index(finding.level), reverse=True)
        worst = here[0].level
        number = "ok" if worst == "ok" else _number(here, worst)
        lines.append(paint("bold", f"{area:<{AREA}}") + paint(LEVELS[worst], number))
        lines += [f"  {line}" for finding in here if finding.level != "ok"
                  for line in in_full(finding)]
    levels = {finding.level for finding in findings} - {"ok"}
    numbers = ", ".join(_number(findings, level) for level in reversed(order) if level in levels)
    return "\n".join([*lines, "", f"{numbers}." if numbers else "Nothing needs you."])


def _number(findings: list[Finding], level: str) -> str:
    return counted(sum(finding.level == level for finding in findings), level)


def in_full(finding: Finding) -> list[str]:
    """Its lines: what, why, and how to fix it."""
    room = width() - len(INDENT)
    first, *lines = wrapped(f"{finding.level}: {sentence(finding.what)}", room, "", INDENT)
    first = first.replace(finding.level, paint(LEVELS[finding.level], finding.level), 1)
    if finding.why:
        lines += wrapped(sentence(capital(finding.why)), room, INDENT, INDENT)
    text, *commands = finding.fix.split("\n")
    if text:
        lines += wrapped(text, room, f"{INDENT}-> ", INDENT)
    return [first, *lines, *(INDENT + command for command in commands)]


def sentence(words: str) -> str:
    """With one mark at its end."""
    return words if words.endswith("?") else words.rstrip(".") + "."
