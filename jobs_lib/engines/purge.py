"""Deleting what is old: one engine for every job that removes rows by their age.

What is deleted is declared (rules.py). A retention that became shorter deletes no more than before
until that is confirmed (guard.kept). Rows are deleted in short batches (batch_delete.py), each with
its files in one transaction (spool.py).

A job that does more calls `begin`, does what it has to, and calls `finish`.
"""
from __future__ import annotations

from datetime import timedelta
from itertools import chain

from jobs_lib import clock
from jobs_lib.errors import Busy
from jobs_lib.records import namedtuple

from . import guard
from .batch_delete import BatchDeleter
from .selection import Selection

Due = namedtuple("Due", "purge chosen limits")
Due.__doc__ = """What a run is about to delete.

purge   the declaration
chosen  the Selection of its rules
limits  {option: how long rows are kept in this run, None for ever}
"""


def run(ctx, purge) -> dict:
    """Delete what is past its time, or show it in a dry run. The counts."""
    due = begin(ctx, purge)
    return finish(ctx, due) if due else ctx.counts


def begin(ctx, purge, has_store: bool | None = None) -> Due | None:
    """What is due now; None where all rules are off, or the clock is in doubt.

    `has_store`: whether rows are archived before they are deleted; None where they never are. While
    the guard remembers a store that is gone, nothing is due.
    """
    ctx.count("deleted", 0)
    if not ctx.may_expire():
        return None
    if purge.files:
        from .spool import need_folder
        # else rows would be deleted and their files stay
        need_folder(ctx.db, ctx.section("spool").dir)
    limits = _seconds(ctx, purge)
    if has_store is not None:
        limits[guard.STORE] = guard.NEVER if has_store else 0

    def count(limits: dict) -> int:
        """By age alone: a retention that is too short is seen also where rows wait for something
        else."""
        if not has_store and limits.get(guard.STORE):
            return 0
        rules = [(rule._replace(also=None), before)
                 for rule, before in _cutoffs(purge, limits, ctx.now)]
        return Selection(purge.table, rules, ctx).count(ctx.db) if rules else 0

    limits = guard.kept(ctx, purge.table, limits, count)
    timed = _cutoffs(purge, limits, ctx.now)
    if not timed or (not has_store and limits.get(guard.STORE)):
        ctx.log.event("purge", table=purge.table, reason="off")
        return None
    chosen = Selection(purge.table, timed, ctx)
    if invalid := chosen.count_invalid(ctx.db):
        ctx.count("invalid", invalid)           # they stay, and a person has to look
    return Due(purge, chosen, {
        option: None if seconds >= guard.NEVER else timedelta(seconds=seconds)
        for option, seconds in limits.items() if option != guard.STORE})


def _seconds(ctx, purge) -> dict:
    """{option: how many seconds rows are kept}."""
    options = {rule.option: getattr(ctx.options, rule.option)
               for rule in purge.rules if rule.option}
    return {name: guard.NEVER if limit is None else int(limit.total_seconds())
            for name, limit in options.items()}


def _cutoffs(purge, limits: dict, now) -> list:
    """[(Rule, the time before which its rows are deleted)] of the rules that are not off."""
    return [(rule, now - timedelta(seconds=limits.get(rule.option, 0)) - rule.later)
            for rule in purge.rules if limits.get(rule.option, 0) < guard.NEVER]


def finish(ctx, due: Due, *, within=None, more=()) -> dict:
    """Delete what is due, then the Selections of `more`; a dry run shows it. The counts.

    `within` is as in BatchDeleter.
    """
    if ctx.dry_run:
        from .dry_run import preview
        return preview(ctx, due, more)
    purge, chosen = due.purge, due.chosen
    if purge.files:
        ctx.count("files", 0)
        ctx.count("bytes_freed", 0)
    total = chosen.count(ctx.db)
    deleter = BatchDeleter(ctx, purge.table, purge.files, within)
    delete_all(ctx, deleter, chain([chosen] if total else [], more), total, chosen.cutoffs)
    return ctx.counts


def delete_all(ctx, deleter: BatchDeleter, selections, total: int | None, cutoffs=()) -> None:
    """Delete one Selection after the other, and count what was deleted as `deleted`.

    What ends it early is the run's reason to stop. A Selection that is `counted` has its rows under
    that name too. `total` is how many that will be at least, if that is known.
    """
    def report(**more) -> None:
        done = ctx.counts["deleted"]
        ctx.progress(done, total if total is None else max(total, done), **more)

    try:
        report()
        for chosen in selections:
            for batch in deleter.batches(chosen):
                ctx.count("deleted", batch.rows)
                if chosen.counted:
                    ctx.count(chosen.counted, batch.rows)
                if deleter.files:
                    ctx.count("files", batch.files)
                    ctx.count("bytes_freed", batch.bytes)
                report(rate=deleter.rate())
            if ctx.should_stop():
                break
    except Busy as error:               # the others come first; what is committed stays so
        ctx.stop_busy(error)
    log_deletion(ctx, deleter, cutoffs)


def log_deletion(ctx, deleter: BatchDeleter, cutoffs) -> None:
    """One event for all that was deleted."""
    ctx.log.event("purge", table=deleter.table, **ctx.counts, reason=ctx.stop_reason or "done",
                  batches=deleter.number, rate=deleter.rate(),
                  before=sorted({clock.text(moment) for moment in cutoffs}))
