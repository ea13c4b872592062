"""What a purge deletes, as data: the file of a job declares it, purge.py carries it out."""
from __future__ import annotations

from datetime import timedelta

from jobs_lib.config.option_types import Option, duration, limited, optional
from jobs_lib.job import NAMES_FILES, Job
from jobs_lib.records import namedtuple

BUDGET = "4m"                   # of a run: the next one goes on
IDEMPOTENT = "Each batch is one commit: a killed or repeated run deletes what is left."
WITH_FILES = (" A file is deleted just before the commit of its row: a kill between the two leaves "
              "a row past its time, which the next run deletes.")


class Rule(namedtuple("Rule", "age fallback only option later also",
                      defaults=(None, {}, "keep", timedelta(0), None))):
    """Which rows are deleted, and when. A row exactly at the limit stays.

    age       the column that the age counts from
    fallback  the column instead, where that one is NULL
    only      {column: value}; None is NULL, PRESENT any value but NULL
    option    the option that says how long they are kept; None: `age` is when they are deleted
    later     kept this much longer than the option says
    also      function of (Context, how long rows are kept) -> (SQL, values): one more condition,
              judged again in each DELETE
    """

    __slots__ = ()
    PRESENT = object()


PRESENT = Rule.PRESENT


class Purge(namedtuple("Purge", "table rules files run", defaults=(None, None))):
    """The rows of a table that are deleted by their age; called with a Context, it deletes them.

    files  the column that names a file in the spool, deleted with the last row that names it
    run    function of (Context, Purge) -> counts, of a job that does more; None: purge.run
    """

    __slots__ = ()

    def __call__(self, ctx) -> dict:
        if self.run:
            return self.run(ctx, self)
        from .purge import run
        return run(ctx, self)


def keep(default: str, meaning: str, least: str = "0s") -> Option:
    """An option that says how long rows are kept: a duration, or off."""
    kind = duration if least == "0s" else limited(duration, least)
    return Option(optional(kind), default, meaning)


def purge(*, table: str, rules: tuple, schedule: str, options: dict | None = None,
          files: str | None = None, run=None, priority: str = "low", sections: tuple = (),
          sample: tuple = (), idempotency: str = "", tables: str = "") -> Job:
    """A job that is a Purge; the rest is as in Job.

    `tables` is what it works on besides its own.
    """
    what = Purge(table, rules, files, run)
    idempotency = idempotency or IDEMPOTENT + (WITH_FILES if files else "")
    return Job("", "", "", schedule, priority, BUDGET, True, options or {},
               (*sections, *(("spool",) if files else ())), idempotency, sample, what,
               f"{table}- {NAMES_FILES if files else ''}{tables}")
