"""Deleting what is old: one engine for every job that removes rows by their age.

What is deleted is declared (rules.py). `off` ends before any SQL. Rows are deleted in short batches
(batch_delete.py), each with its files in one transaction (spool.py). A retention that was shortened
by mistake stops before it empties a table (safety_stop.py).

A job that does more calls `begin`, does what it has to, and calls `finish`.
"""
from __future__ import annotations

from datetime import timedelta
from itertools import chain

from jobs_lib import clock
from jobs_lib.errors import Busy
from jobs_lib.records import namedtuple

from .batch_delete import BatchDeleter
from .safety_stop import RetentionGuard
from .selection import Selection

Due = namedtuple("Due", "purge chosen guard unconfirmed")
Due.__doc__ = """What a run is about to delete.

purge  the declaration      chosen       the Selection of its rules
guard  RetentionGuard       unconfirmed  in a dry run: why a run would stop, or None
"""


def run(ctx, purge) -> dict:
    """Delete what is past its time, or show it in a dry run. The counts."""
    due = begin(ctx, purge)
    return finish(ctx, due) if due else ctx.counts


def begin(ctx, purge) -> Due | None:
    """What is due now; None where all rules are off or the clock is in doubt. SafetyStop where a
    retention was shortened by what looks like a mistake."""
    timed = _cutoffs(purge, ctx.options, ctx.now)
    ctx.count("deleted", 0)
    if not timed:
        ctx.log.event("purge", table=purge.table, reason="off")
        return None
    if not ctx.may_expire():
        return None
    if purge.files:
        from .spool import need_folder
        # else rows would be deleted and their files stay
        need_folder(ctx.db, ctx.section("spool").dir)
    retentions = RetentionGuard(ctx, {rule.option: getattr(ctx.options, rule.option)
                                      for rule, _ in timed if rule.option})
    # by age alone: a retention that is too short is seen also where rows wait for something else
    by_age = [(rule._replace(also=None), before) for rule, before in timed]
    unconfirmed = retentions.confirm(
        purge.table, lambda: Selection(purge.table, by_age, ctx).count(ctx.db))
    return Due(purge, Selection(purge.table, timed, ctx), retentions, unconfirmed)


def _cutoffs(purge, options, now) -> list:
    """[(Rule, the time before which its rows are deleted)] of the rules that are not off."""
    limits = {rule.option: getattr(options, rule.option) for rule in purge.rules if rule.option}
    return [(rule, now - limits.get(rule.option, timedelta(0)) - rule.later)
            for rule in purge.rules if not rule.option or limits[rule.option] is not None]


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
    if not ctx.should_stop():
        due.guard.store()
    return ctx.counts


def delete_all(ctx, deleter: BatchDeleter, selections, total: int | None, cutoffs) -> None:
    """Delete one Selection after the other, and count what went as `deleted`.

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
