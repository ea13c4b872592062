"""Deleting what is old: one engine for every job that removes rows by their age.

What is deleted is declared (rules.py). A retention that became shorter deletes no more than before
until that is confirmed (guard.kept). Rows are deleted in short batches (batch_delete.py), each with
its files in one transaction (spool.py).

A job that does more calls `begin`, does what it has to, and calls `finish`.
"""
from __future__ import annotations

from itertools import chain

from jobs_lib.errors import Busy
from jobs_lib.records import namedtuple

from . import guard
from .batch_delete import BatchDeleter
from .selection import select

Due = namedtuple("Due", "purge chosen limits")
Due.__doc__ = """What a run is about to delete: the declaration, the Selection of its rules, and
{option: how long rows are kept in this run, None for ever}."""


def run(ctx, purge) -> dict:
    """Delete what is past its time, or show it in a dry run. The counts."""
    due = begin(ctx, purge)
    return finish(ctx, due) if due else ctx.counts


def begin(ctx, purge, has_store: bool | None = None) -> Due | None:
    """What is due now; None where all rules are off, or the clock is in doubt. `has_store`: as in
    guard.kept."""
    ctx.count("deleted", 0)
    if not ctx.may_expire():
        return None
    if purge.files:
        from .spool import need_folder
        # else rows would be deleted and their files stay
        need_folder(ctx.db, ctx.section("spool").dir)
    # By age alone: a retention that is too short is seen also where rows wait for something else.
    by_age = [rule._replace(also=None) for rule in purge.rules]
    limits = guard.kept(
        ctx, purge.table,
        {rule.option: getattr(ctx.options, rule.option) for rule in purge.rules if rule.option},
        lambda limits: select(ctx, purge.table, by_age, limits).count(ctx.db), has_store)
    chosen = select(ctx, purge.table, purge.rules, limits)
    if not chosen.branches:
        ctx.log.event("purge", table=purge.table, reason="off")
        return None
    if invalid := chosen.count_invalid(ctx.db):
        ctx.count("invalid", invalid)           # they stay, and a person has to look
    return Due(purge, chosen, limits)


def finish(ctx, due: Due, *, within=None, more=()) -> dict:
    """Delete what is due, then the Selections of `more`; a dry run shows it. The counts. `within`:
    as in BatchDeleter."""
    total = None if ctx.dry_run else due.chosen.count(ctx.db)
    selections = chain([] if total == 0 else [due.chosen], more)
    return delete(ctx, due.purge.table, selections, due.purge.files, within, total)


def delete(ctx, table: str, selections, files: str | None = None, within=None,
           total: int | None = None) -> dict:
    """Delete one Selection after the other, counted as `deleted`, or show them in a dry run. The
    counts.

    What ends it early is the run's reason to stop. `files`, `within`: as in BatchDeleter; `total`:
    how many rows there will be at least, if that is known.
    """
    if files:
        ctx.counts.update(files=0, bytes_freed=0)
    if ctx.dry_run:
        from .dry_run import show_all
        show_all(ctx, table, selections, files)
        return ctx.counts
    deleter = BatchDeleter(ctx, table, files, within)
    try:
        ctx.progress(0, total)
        for chosen in selections:
            for batch in deleter.batches(chosen):
                ctx.count("deleted", batch.rows)
                if chosen.counted:
                    ctx.count(chosen.counted, batch.rows)
                if files:
                    ctx.count("files", batch.files)
                    ctx.count("bytes_freed", batch.bytes)
                ctx.progress(deleter.rows, total and max(total, deleter.rows))
            if ctx.should_stop():
                break
    except Busy as error:               # the others come first; what is committed stays so
        ctx.stop_busy(error)
    deleter.log()
    return ctx.counts
