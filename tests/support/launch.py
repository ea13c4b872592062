"""`python launch.py WORDS`: `jobs.py WORDS` with the odd jobs of the tests in place of the real
ones.

FRAME_NOW   the clock begins at this UTC time, `2026-11-24 14:30:05`
FRAME_KILL  `module:name:before|after|number`: the process ends itself with SIGKILL there, at that call of the
            function (the first, unless a number is given); FRAME_TERM  the same with SIGTERM, FRAME_ALARM with SIGALRM,
            which is how the hard limit strikes
FRAME_BREAK `module:name`: each call of the function says that the database went away
FRAME_BUG   `module:name=Exception:words`: each call of the function raises that
FRAME_SMALL `module:NAME=number`: this constant is so small
FRAME_JOBS  own: the jobs are the real ones
"""
from __future__ import annotations

import builtins
import functools
import importlib
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from jobs_lib import clock, jobs
from jobs_lib.cli import main
from jobs_lib.errors import DatabaseError

if os.environ.get("FRAME_JOBS") != "own":
    jobs.__path__[:] = [str(Path(__file__).resolve().parent / "odd_jobs")]


def set_clock(text: str) -> None:
    """Move the clock, as a host's does: it goes on from there."""
    real, ahead = clock.now, clock.parse(text) - clock.now()
    clock.now = lambda: real() + ahead


def strike_at(how: int, module: str, name: str, when: str, number: str = "1") -> None:
    """Wrap the function or method so that a signal comes with its call."""
    owner = importlib.import_module(module)
    *above, last = name.split(".")
    for word in above:
        owner = getattr(owner, word)
    function, left = getattr(owner, last), [int(number)]

    def strike() -> None:
        # for who looks on from outside, such as a worker's test
        Path("struck").touch()
        os.kill(os.getpid(), how)

    @functools.wraps(function)
    def struck(*args, **named):
        left[0] -= 1
        if left[0] == 0 and when == "before":
            strike()
        result = function(*args, **named)
        if left[0] == 0 and when == "after":
            strike()
        return result
    setattr(owner, last, struck)


def break_at(module: str, name: str) -> None:
    """The function finds no database any more."""
    def broken(*_, **__):
        raise DatabaseError("the database went away")
    setattr(importlib.import_module(module), name, broken)


def bug_at(place: str, error: str) -> None:
    """The function has a mistake."""
    kind, _, words = error.partition(":")

    def bug(*_, **__):
        raise getattr(builtins, kind)(words)
    module, _, name = place.partition(":")
    setattr(importlib.import_module(module), name, bug)


if os.environ.get("FRAME_NOW"):
    set_clock(os.environ["FRAME_NOW"])
for name, how in (("FRAME_KILL", signal.SIGKILL), ("FRAME_TERM", signal.SIGTERM),
                  ("FRAME_ALARM", signal.SIGALRM)):
    if os.environ.get(name):
        strike_at(how, *os.environ[name].split(":"))
if os.environ.get("FRAME_BREAK"):
    break_at(*os.environ["FRAME_BREAK"].split(":"))
if os.environ.get("FRAME_BUG"):
    bug_at(*os.environ["FRAME_BUG"].split("=", 1))
if os.environ.get("FRAME_SMALL"):
    place, _, number = os.environ["FRAME_SMALL"].partition("=")
    setattr(importlib.import_module(place.partition(":")[0]), place.partition(":")[2], int(number))

if __name__ == "__main__":
    sys.exit(main.main(sys.argv[1:]))
