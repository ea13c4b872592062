"""`python launch.py WORDS`: `jobs.py WORDS` in a process that meets something on its way.

The environment says what, each for tests/support/shell.py's argument of that name:

LAUNCH_NOW        the clock begins at this UTC time, `2026-11-24 14:30:05`
LAUNCH_KILL       where the process ends itself with SIGKILL; LAUNCH_TERMINATE the same with
                     SIGTERM, and LAUNCH_ALARM with SIGALRM, as the hard limit does
LAUNCH_BUG        `module:name=Exception:words`: each call of the function raises that
LAUNCH_PEAK       the peak of its memory in KiB is the last line on stderr: VmHWM, as `ru_maxrss`
                     begins with the size of the process that started this one
LAUNCH_SMALL      `module:NAME=number,...`: these constants have other values, mostly small
LAUNCH_ODD_JOBS   the jobs are those of odd_jobs/, not the real ones
LAUNCH_WATCHED    the file for a report of what the process tried: a JSON list of `[event, detail]`,
                     of every connection, name look-up and file opened to be written or made. It may
                     connect to nothing

A point to strike at is `sql:NUMBER:PART`, just before the statement with PART in it that is the
NUMBERth to have it, or `module:name:before|after[:NUMBER]`, that call of a function or method.
"""
from __future__ import annotations

import builtins
import functools
import importlib
import itertools
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support import product
from tests.support.product import DatabaseError, clock, jobs


def set_clock(text: str) -> None:
    """Move the clock, as a host's does: it goes on from there."""
    real, ahead = clock.now, clock.parse(text) - clock.now()
    clock.now = lambda: real() + ahead


def strike(how: int) -> None:
    """Send the signal to ourselves; a file tells whoever looks on from outside, such as a worker's
    test."""
    Path("struck").touch()
    os.kill(os.getpid(), how)


def strike_at(how: int, point: str) -> None:
    """Let the signal come at that point."""
    if point.startswith("sql:"):
        _, number, part = point.split(":", 2)
        reached = struck(how, int(number))
        product.around_statements(lambda sql, _values, side: reached(side == 0 and part in sql))
        return
    module, name, when, *number = point.split(":")
    owner, last = found(f"{module}:{name}")
    function, reached = getattr(owner, last), struck(how, *map(int, number))

    @functools.wraps(function)
    def called(*args, **named):
        reached(when == "before")
        result = function(*args, **named)
        reached(when == "after")
        return result
    setattr(owner, last, called)


def struck(how: int, number: int = 1):
    """`reached(is_there)` sends the signal when it is there for the NUMBERth time."""
    times = itertools.count(1)

    def reached(is_there: bool) -> None:
        if is_there and next(times) == number:
            strike(how)
    return reached


def found(place: str) -> tuple:
    """(owner, name) of `module:name` or `module:Class.name`."""
    module, _, name = place.partition(":")
    *above, last = name.split(".")
    return functools.reduce(getattr, above, importlib.import_module(module)), last


def raising(error: Exception):
    def bug(*_, **__):
        raise error
    return bug


# What changes the world or reaches out of it

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
           "os.chmod", "os.chown", "os.utime", "shutil.rmtree", "subprocess.Popen", "os.system",
           "os.exec")
tried: list = []


def watch(event: str, args: tuple) -> None:
    """Note it; refuse every connection."""
    if event in ("socket.connect", "socket.sendto"):
        to = ":".join(map(str, args[1][:2])) if isinstance(args[1], tuple) else str(args[1])
        tried.append([event, to])
        raise PermissionError(f"no connection is allowed here: {args[1]}")
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        tried.append([event, args[0].decode() if isinstance(args[0], bytes) else str(args[0])])
    elif event in CHANGES or (event == "open" and args[2] & WRITING and args[0] != os.devnull
                              and not isinstance(args[0], int)):    # one that was open before
        tried.append([event, path_of(event, args)])


def path_of(event: str, args: tuple) -> str:
    """The path, also of what is named by an open file or below an open folder."""
    if isinstance(args[0], int):
        return os.readlink(f"/proc/self/fd/{args[0]}")
    below = args[1] if event in ("os.remove", "os.rmdir") else -1
    return os.path.join(os.readlink(f"/proc/self/fd/{below}") if below >= 0 else "", str(args[0]))


def prepare(given: dict) -> None:
    """Do what the environment says."""
    if given.get("ODD_JOBS"):
        jobs.__path__[:], jobs.ALL = [str(Path(__file__).resolve().parent / "odd_jobs")], ()
    if given.get("NOW"):
        set_clock(given["NOW"])
    for small in filter(None, given.get("SMALL", "").split(",")):
        place, _, number = small.partition("=")
        setattr(*found(place), int(number))
    for name, how in (("KILL", signal.SIGKILL), ("TERMINATE", signal.SIGTERM),
                      ("ALARM", signal.SIGALRM)):
        if given.get(name):
            strike_at(how, given[name])
    if given.get("BUG"):
        place, _, error = given["BUG"].partition("=")
        kind, _, words = error.partition(":")
        setattr(*found(place), raising(getattr(builtins, kind, DatabaseError)(words)))
    if given.get("WATCHED"):
        sys.addaudithook(watch)


START = "LAUNCH_"
GIVEN = {name[len(START):]: value for name, value in os.environ.items() if name.startswith(START)}
prepare(GIVEN)

if __name__ == "__main__":
    code = product.main(sys.argv[1:])
    if GIVEN.get("WATCHED"):
        found = json.dumps(tried)               # without the report itself
        Path(GIVEN["WATCHED"]).write_text(found, encoding="utf-8")
    if GIVEN.get("PEAK"):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
    product.leave(code)
