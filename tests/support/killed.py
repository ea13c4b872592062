"""`python killed.py WORDS`: `jobs.py WORDS` in a process that ends itself with SIGKILL at a chosen
statement.

JOBS_KILL_AT is a part of the SQL, JOBS_KILL_NUMBER which of its occurrences strikes (just before it
runs).
"""
from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from jobs_lib.cli import main
from jobs_lib.launch import session
from jobs_lib.runner.resources import Ports

AT, LEFT = os.environ["JOBS_KILL_AT"], [int(os.environ["JOBS_KILL_NUMBER"])]


def strike(sql: str, _values: dict) -> None:
    """Count this statement, and end the process when its turn has come."""
    if AT in sql:
        LEFT[0] -= 1
        if LEFT[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Killing(Ports):
    """The real ports, with an ear on the statements."""

    def connect(self, **how):
        """A real connection."""
        db = super().connect(**how)
        db.on_statement = strike
        return db


session.Ports = Killing
sys.exit(main.main(sys.argv[1:]))
