"""Deleting what is old: one engine for every job that removes rows by their age.

What is deleted is declared (rules.py). One filter, fixed at the start, serves for counting, showing
and deleting. A retention that became shorter deletes no more than before until that is confirmed
(guard.kept). Rows are deleted in short batches (batch_delete.py), each with its files in one
transaction (spool.py).

A job that does more calls `begin`, does what it has to, and calls `delete`.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple
from jobs_lib.text import counted

from . import guard, spool
from .batch_delete import BatchDeleter

SAMPLE_ROWS = 5              # of a dry run

Branch = namedtuple("Branch", "sql age")
Branch.__doc__ = """A condition, and the column that its rows are ordered by: one of times, or `id`
for rows that are deleted by the ids that were read, and never by a range of ids."""


class Selection(namedtuple("Selection", "table branches values limits cutoffs invalid",
                           defaults=({}, (), ()))):
    """The rows of a table that any of the `branches` finds, with their `values`.

    limits   {option: how long rows are kept in this run, None for ever}
    cutoffs  the times before which rows are deleted     invalid  SQL: rows whose time is none
    """

    __slots__ = ()

    @property
    def sql(self) -> str:
        """The condition. Each DELETE carries all of it: a row that changed meanwhile is judged
        again."""
        return _any(self.branches)

    def count(self, db) -> int:
        """How many rows that is. Each branch is counted by its index, without the rows of the
        branches before it."""
        number = 0
        for at, branch in enumerate(self.branches):
            others = (f" AND CASE WHEN {_any(self.branches[:at])} THEN 0 ELSE 1 END = 1"
                      if at else "")
            number += db.value(f"SELECT COUNT(*) FROM {{{self.table}}} WHERE {branch.sql}{others}",
                               **self.values)
        return number


def select(ctx, table: str, rules, limits: dict) -> Selection:
    """What the rules delete, if rows are kept as long as the `limits` say: {option: timedelta, None
    for ever}."""
    # an empty text, a number, 1970-01-01 or MySQL's 0000-00-00 is no time: such a row stays
    values: dict = {"earliest": clock.FIRST}
    branches, cutoffs, invalid = [], [], []
    for number, rule in enumerate(rules):
        keep = limits[rule.option] if rule.option else timedelta(0)
        if keep is None:
            continue
        cutoffs.append(ctx.now - keep - rule.later)
        values[f"before{number}"] = cutoffs[-1]
        also, more = rule.also(ctx, keep) if rule.also else ("1 = 1", {})
        values.update(more)
        branches.append(Branch(f"{rule.where} AND {rule.age} >= :earliest AND {rule.age} < "
                               f":before{number} AND ({also})", rule.age))
        invalid.append(f"{rule.where} AND {rule.age} < :earliest")
    return Selection(table, branches, values, limits, cutoffs, invalid)


def _any(branches) -> str:
    return "(" + " OR ".join(f"({branch.sql})" for branch in branches) + ")"


# A run

def run(ctx, purge) -> dict:
    """Delete what is past its time, or show it in a dry run. The counts."""
    chosen = begin(ctx, purge)
    return delete(ctx, purge.table, [chosen], purge.files) if chosen else ctx.counts


def begin(ctx, purge, has_store: bool | None = None) -> Selection | None:
    """What is due now; None where all rules are off, or the clock is in doubt. `has_store`: as in
    guard.kept."""
    ctx.count("deleted", 0)
    if not ctx.may_expire():
        return None
    if purge.files:
        # else rows would be deleted and their files stay
        spool.need_folder(ctx.db, ctx.section("spool").dir)
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
    for sql in chosen.invalid:
        # they stay, and a person has to look
        if invalid := ctx.db.value(f"SELECT COUNT(*) FROM {{{purge.table}}} WHERE {sql}",
                                   **chosen.values):
            ctx.count("invalid", invalid)
    return chosen


def delete(ctx, table: str, selections, files: str | None = None, within=None) -> dict:
    """Delete one Selection after the other, counted as `deleted`, or show them in a dry run. No row
    is in two of them. The counts.

    What ends it early is the run's reason to stop. `files`, `within`: as in BatchDeleter.
    """
    if ctx.dry_run:
        _show(ctx, table, selections)
        return ctx.counts
    if files:
        ctx.counts.update(files=0, bytes_freed=0)
    deleter = BatchDeleter(ctx, files, within)
    for chosen in selections:
        deleter.delete(chosen)
        if ctx.should_stop():
            break
    return ctx.counts


def _show(ctx, table: str, selections) -> None:
    """Count what would be deleted, and show the first rows of each branch, oldest first, by those
    columns of the job's sample that the table has."""
    from jobs_lib.database.schema import tables
    names = {column.name for column in tables.table(table).columns}
    shown = ", ".join(name for name in ctx.job.sample if name in names) or "id"
    rows: list[dict] = []
    total = 0
    for chosen in selections:
        number = ctx.within_limit(chosen.count(ctx.db), total)
        total += number
        for branch in chosen.branches if number and len(rows) < SAMPLE_ROWS else ():
            found = ctx.db.query(f"SELECT {shown} FROM {{{table}}} WHERE {branch.sql} "
                                 f"ORDER BY {branch.age} LIMIT :most", **chosen.values,
                                 most=SAMPLE_ROWS)
            rows += [row for row in found if row not in rows]    # two rules may have the same one
    ctx.count("deleted", total)                 # a job may have several purges
    ctx.show(f"delete {counted(total, 'row')} of {table}", rows[:SAMPLE_ROWS])
