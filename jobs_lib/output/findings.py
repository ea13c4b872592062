"""What a check of `jobs.py doctor` found: one sentence each for what, why it matters, and how to
fix it."""
from __future__ import annotations

from jobs_lib.records import namedtuple

# from good to bad; only a problem makes `doctor` exit with 1
LEVELS = ("ok", "note", "warning", "problem")

Finding = namedtuple("Finding", "level area what why fix")
Finding.__doc__ = """One finding.

level  one of LEVELS
area   the module in doctor/ that found it; filled in there
what   a sentence, without its full stop
why    it matters; "" for what is fine
fix    what to do; lines after the first that begin with two spaces are to be copied as they are
"""


def ok(what: str) -> Finding:
    """A finding that something is as it should be."""
    return Finding("ok", "", what, "", "")


def note(what: str, why: str = "", fix: str = "") -> Finding:
    """Good to know; nothing has to be done."""
    return Finding("note", "", what, why, fix)


def warning(what: str, why: str, fix: str) -> Finding:
    """It works, but perhaps not for long, or not as intended."""
    return Finding("warning", "", what, why, fix)


def problem(what: str, why: str, fix: str) -> Finding:
    """Something does not work, or is open to others."""
    return Finding("problem", "", what, why, fix)


def run(words: str, *commands: str) -> str:
    """A `fix` whose commands or statements stand on lines of their own."""
    return "\n".join([words, *(f"  {line}" for command in commands
                               for line in command.split("\n"))])
