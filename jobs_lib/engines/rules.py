"""What a purge deletes, as data: the file of a job declares it, purge.py carries it out."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.config.option_types import Option, duration, optional
from jobs_lib.job import NAMES_FILES, Job
from jobs_lib.records import namedtuple

IDEMPOTENT = "Each batch is one commit: a killed or repeated run deletes what is left."


class Rule(namedtuple("Rule", "age where option later also",
                      defaults=("1 = 1", "keep", timedelta(0), None))):
    """Which rows are deleted, and when. A row exactly at the limit stays.

    age     the column that the age counts from
    where   SQL: which rows
    option  the option that says how long they are kept; None: `age` is when they are deleted
    later   kept this much longer than the option says
    also    function of (Context, how long rows are kept) -> (SQL, values): one more condition,
            judged again in each DELETE
    """

    __slots__ = ()


Purge = namedtuple("Purge", "table rules files", defaults=(None,))
Purge.__doc__ = """The rows of a table that are deleted by their age. `files`: the column that names
a file in the spool, deleted with the last row that names it."""


def keep(default: str, meaning: str, kind=duration) -> Option:
    """An option that says how long rows are kept: a duration, or off."""
    return Option(optional(kind), default, meaning)


def purge(*, table: str, rules: tuple, schedule: str, options: dict, files: str | None = None,
          run=None, priority: str = "low", sections: tuple = (), sample: tuple = (),
          idempotency: str = IDEMPOTENT, tables: str = "") -> Job:
    """A job that is a Purge; the rest is as in Job.

    `tables` is what it works on besides its own; `run`: function of (Context, Purge) -> counts, of
    a job that does more.
    """
    def work(ctx) -> dict:
        from . import purge as engine
        return (run or engine.run)(ctx, Purge(table, rules, files))

    spool = ("spool",) if files else ()
    return Job("", "", "", schedule, priority, "4m", True, options, sections + spool, idempotency,
               sample, work, f"{table}- {NAMES_FILES if files else ''}{tables}")
