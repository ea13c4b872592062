"""One file a job: its rule in words, when it runs, its options; the work is one call into a feature
or an engine. Here is what the files of purges share."""
from __future__ import annotations

from jobs_lib.catalogue import NAMES_FILES, Job
from jobs_lib.config.option_types import Option, duration, optional
from jobs_lib.engines.purge import Purge, Rule, run

__all__ = ["Purge", "Rule", "keep", "purge", "run"]


def keep(default: str, meaning: str, kind=duration) -> Option:
    """An option that says how long rows are kept: a duration, or off."""
    return Option(optional(kind), default, meaning)


def purge(*, table: str, rules: tuple, schedule: str, options: dict, files: str | None = None,
          work=run, priority: str = "low", sections: tuple = (), sample: tuple = (),
          tables: str = "") -> Job:
    """A job that is a Purge; the rest is as in Job.

    `tables` is what it works on besides its own; `work`: function of (Context, Purge) -> counts, of
    a job that does more.
    """
    declared, spool = Purge(table, rules, files), ("spool",) if files else ()
    return Job("", "", "", schedule, priority, "4m", True, options, sections + spool, sample,
               lambda ctx: work(ctx, declared),
               f"{table}- {NAMES_FILES if files else ''}{tables}")
