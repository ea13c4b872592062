"""`python killed_call.py WORDS`: `jobs.py WORDS` in a process that ends itself with SIGKILL at a
chosen call.

JOBS_KILL_CALL is `module:name`, a function or method of ours; JOBS_KILL_NUMBER which of its calls
strikes, and JOBS_KILL_WHEN whether before it is made or after. JOBS_SMALL,
`module:NAME=number,...`, makes constants smaller.
"""
from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from jobs_lib.cli import main


def strike_at(place: str, number: int, when: str) -> None:
    """Wrap the function so that its call of that number is the last thing this process does."""
    module, _, name = place.partition(":")
    owner = importlib.import_module(module)
    *above, last = name.split(".")
    for word in above:
        owner = getattr(owner, word)
    function, left = getattr(owner, last), [number]

    @functools.wraps(function)
    def struck(*args, **named):
        left[0] -= 1
        if left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **named)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, last, struck)


for word in filter(None, os.environ.get("JOBS_SMALL", "").split(",")):
    place, _, value = word.partition("=")
    setattr(importlib.import_module(place.partition(":")[0]), place.partition(":")[2], int(value))
if os.environ.get("JOBS_KILL_CALL"):
    strike_at(os.environ["JOBS_KILL_CALL"], int(os.environ.get("JOBS_KILL_NUMBER", "1")),
              os.environ.get("JOBS_KILL_WHEN", "before"))

if __name__ == "__main__":
    sys.exit(main.main(sys.argv[1:]))
