"""Deleting what is old: one engine for every job that removes rows by their age.

What is deleted is declared (rules.py). One filter, fixed at the start, serves for counting, showing
and deleting. A retention that became shorter deletes no more than before until that is confirmed
(guard.kept). Rows are deleted in short batches (batch_delete.py), each with its files in one
transaction (spool.py).

A job that does more calls `begin`, does what it has to, and calls `finish`.
"""
from __future__ import annotations

import stat
from datetime import timedelta
from itertools import chain

from jobs_lib import clock
from jobs_lib.errors import Busy
from jobs_lib.records import namedtuple
from jobs_lib.text import counted

from . import guard, spool
from .batch_delete import BatchDeleter

SAMPLE_ROWS = 5              # of a dry run
PAGE = 200                   # names of files looked at in one query

Due = namedtuple("Due", "purge chosen limits")
Due.__doc__ = """What a run is about to delete: the declaration, the Selection of its rules, and
{option: how long rows are kept in this run, None for ever}."""
Branch = namedtuple("Branch", "sql age")
Branch.__doc__ = "A condition, and the column that its rows are ordered by, mostly one of times."


class Selection(namedtuple("Selection", "table branches values cutoffs invalid listed counted",
                           defaults=((), (), False, ""))):
    """The rows of a table that any of the `branches` finds, with their `values`.

    cutoffs  the times before which rows are deleted     invalid  SQL: rows whose time is none
    listed   they are deleted by the ids that were read, and never by a range of ids
    counted  a name under which they are counted, too
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

    def count_invalid(self, db) -> int:
        """How many rows have a time that is none, where one decides."""
        return sum(db.value(f"SELECT COUNT(*) FROM {{{self.table}}} WHERE {sql}", **self.values)
                   for sql in dict.fromkeys(self.invalid))


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
        only = []
        for column, value in rule.only.items():
            if value is None or value is rule.PRESENT:
                only.append(f"{column} IS {'NOT ' if value is rule.PRESENT else ''}NULL")
            else:
                values[f"only{number}_{column}"] = value
                only.append(f"{column} = :only{number}_{column}")
        also = ""
        if rule.also:
            condition, more = rule.also(ctx, keep)
            also = f" AND ({condition})"
            values.update(more)
        for age, missing in ((rule.age, ()), (rule.fallback, (f"{rule.age} IS NULL",))):
            if age:
                which = "".join(f"{each} AND " for each in (*only, *missing))
                branches.append(Branch(f"{which}{age} >= :earliest AND {age} < :before{number}"
                                       f"{also}", age))
                invalid.append(f"{which}{age} < :earliest")
    return Selection(table, branches, values, cutoffs, invalid)


def _any(branches) -> str:
    return "(" + " OR ".join(f"({branch.sql})" for branch in branches) + ")"


# A run

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
        _show(ctx, table, selections, files)
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


# A dry run: nothing is written

def _show(ctx, table: str, selections, files: str | None) -> None:
    """Show what purge.delete would delete, and count it under the same names. No row is in two of
    the Selections."""
    rows: list[dict] = []
    total = 0
    for chosen in selections:
        number = ctx.within_limit(chosen.count(ctx.db), total)
        total += number
        if chosen.counted:
            ctx.count(chosen.counted, number)
        if number and len(rows) < SAMPLE_ROWS:
            rows += _sample(ctx, chosen)
        if files and ctx.limit is None:         # else it is unknown which rows it will be
            _count_files(ctx, chosen, files)
    ctx.count("deleted", total)                 # a job may have several purges
    ctx.show(f"delete {counted(total, 'row')} of {table}", rows[:SAMPLE_ROWS])


def _sample(ctx, chosen) -> list[dict]:
    """The first rows that would be deleted, oldest first, by those of the job's sample that this
    table has."""
    from jobs_lib.database.schema import tables
    names = {column.name for column in tables.table(chosen.table).columns}
    shown, rows = [name for name in ctx.job.sample if name in names] or ["id"], []
    for branch in chosen.branches:
        found = ctx.db.query(
            f"SELECT {', '.join(shown)} FROM {{{chosen.table}}} WHERE {branch.sql}"
            f" ORDER BY {branch.age} LIMIT :most", **chosen.values, most=SAMPLE_ROWS)
        rows += [row for row in found if row not in rows]       # two rules may have the same one
    return rows


def _count_files(ctx, chosen, column: str) -> None:
    """Count the files that would be deleted, and their bytes: those that no row names which
    stays."""
    folder = ctx.section("spool").dir
    for rows in ctx.db.pages(f"SELECT DISTINCT {column} FROM {{{chosen.table}}} "
                             f"WHERE {column} > '' AND {chosen.sql}", key=column, size=PAGE,
                             **chosen.values):
        if ctx.should_stop():
            return
        paths = {row[column] for row in rows if isinstance(row[column], str)}
        for path in paths - spool.named(ctx.db, paths, (chosen.table, chosen.sql, chosen.values)):
            try:
                status = spool.look(folder, path)
            except OSError:
                continue
            if status and stat.S_ISREG(status.st_mode):
                ctx.count("files")
                ctx.count("bytes_freed", status.st_size)
