"""The only door from the tests to the inside of the product: whatever they use of it has its place
here, so that a change of the inside changes this file.

    from tests.support.product import Result        loaded from where it is, when it is asked for

A test speaks the command line, tables, files and what arrives at a server; this is for what stands
between them: the clock, the ends of the ports, and points at which a process can be struck.
"""
from __future__ import annotations

import importlib

# Every name that is used outside of this file: {name: module}.
NAMES: dict[str, str] = {
    "Response": "jobs_lib.ports.http.message", "Result": "jobs_lib.ports.mail.message",
}
SIDES = ("before", "after")


def __getattr__(name: str):
    """One of the NAMES."""
    if name not in NAMES:
        raise AttributeError(name)
    return getattr(importlib.import_module(NAMES[name]), name)


def around_statements(look) -> None:
    """Have `look(sql, values, side)` called just before (0) and just after (1) each statement of
    this process, COMMIT included."""
    from jobs_lib.database.connection import Database
    run = Database._run

    def _run(self, sql, values, *args, **named):
        look(sql, values, 0)
        result = run(self, sql, values, *args, **named)
        look(sql, values, 1)
        return result
    Database._run = _run


def begins(sql: str, values: dict, side: int) -> str:
    """The job whose run begins with this statement, which has stored its row in `job_runs`; else
    an empty text."""
    return values.get("job", "") if side == 1 and sql.startswith("INSERT INTO {job_runs}") else ""


class Aim:
    """Strikes a job at one point: armed when the row of its run is inserted into `job_runs`, then
    at that commit or statement."""

    def __init__(self, job: str, side: str, kind: str, number: int, strike) -> None:
        self._job, self._side, self._kind = job, SIDES.index(side), kind
        self._left, self._strike, self._armed = number, strike, False

    def reached(self, sql: str, values: dict, side: int) -> None:
        """A statement begins, or has been done."""
        if not self._armed:
            self._armed = begins(sql, values, side) == self._job
        elif side == self._side and (sql == "COMMIT") == (self._kind == "commit"):
            self._left -= 1
            if not self._left:
                self._strike()
