"""Deleting what is old: one engine for every job that removes rows by their age.

What is deleted is data, which the file of a job declares. One filter, fixed at the start, serves
for counting, showing and deleting. A retention that became shorter deletes no more than before
until that is confirmed (guard.kept). Rows are deleted in short batches (batch_delete.py), each with
its files in one transaction (spool.py).

A job that does more calls `begin`, does what it has to, and calls `delete`.
"""
from __future__ import annotations

from datetime import timedelta

from jobs_lib import clock
from jobs_lib.records import namedtuple

SAMPLE_ROWS = 5  # of a dry run


Rule = namedtuple("Rule", "age where option later also",
                  defaults=("1 = 1", "keep", timedelta(0), None))
Rule.__doc__ = """Which rows are deleted, and when. A row exactly at the limit stays.

age     the column that the age counts from
where   SQL: which rows
option  the option that says how long they are kept; None: `age` is when they are deleted
later   kept this much longer than the option says
also    function of (Context, how long rows are kept) -> (SQL, values): one more condition, judged
        again in each DELETE
"""

Purge = namedtuple("Purge", "table rules files", defaults=(None,))
Purge.__doc__ = """The rows of a table that are deleted by their age. `files`: the column that names
a file in the spool, deleted with the last row that names it."""

Selection = namedtuple("Selection", "table sql age values before", defaults=(None,))
Selection.__doc__ = """The rows of a table for which `sql`, with its `values`, is true.

age     the column that they are ordered by: one of times, or `id` for rows that are deleted by the
        ids that were read, and never by a range of ids
before  the time before which they are deleted
"""


# A job that declares a Purge mostly finds nothing due: what deletes is loaded later

def run(ctx, declared: Purge) -> dict:
    """Delete what is past its time, or show it in a dry run. The counts."""
    return delete(ctx, declared.table, begin(ctx, declared)[1], declared.files)


def begin(ctx, declared: Purge, has_store: bool | None = None) -> tuple[dict, list[Selection]]:
    """({option: how long rows are kept in this run, None for ever}, what is due now). Nothing is
    where all rules are off, or the clock is in doubt. `has_store`: as in guard.kept."""
    from . import guard, spool

    table, rules, files = declared
    ctx.count("deleted", 0)
    if not ctx.may_expire():
        return {}, []
    if files:
        # else rows would be deleted and their files stay
        spool.need_folder(ctx.db, ctx.section("spool").dir)
    # By age alone: a retention that is too short is seen also where rows wait for something else.
    by_age = [rule._replace(also=None) for rule in rules]
    limits = guard.kept(
        ctx, table, {rule.option: getattr(ctx.options, rule.option)
                     for rule in rules if rule.option},
        lambda limits: count(ctx.db, select(ctx, table, by_age, limits)), has_store)
    for rule in rules:
        if not rule.option or limits[rule.option] is not None:
            note_invalid(ctx, table, rule.age, rule.where)
    return limits, select(ctx, table, rules, limits)


def note_invalid(ctx, table: str, age: str, where: str) -> None:
    """Count the rows whose time is none. They stay, and a person has to look."""
    found = ctx.db.row(f"SELECT COUNT(*) AS number, MIN(id) AS id FROM {{{table}}} "
                       f"WHERE {where} AND {age} < :earliest", earliest=clock.FIRST)
    if found["number"]:
        ctx.count("invalid", found["number"])
        ctx.log.warning("invalid row", table=table, id=found["id"], rows=found["number"],
                        reason=f"{age} is not a valid time")


def select(ctx, table: str, rules, limits: dict) -> list[Selection]:
    """What each of the rules deletes, but for what those before it do. `limits`: {option: how long
    rows are kept, None for ever}.

    Each DELETE carries the condition: a row that changed meanwhile is judged again.
    """
    # an empty text, a number, 1970-01-01 or MySQL's 0000-00-00 is no time: such a row stays
    values: dict = {"earliest": clock.FIRST}
    found: list[Selection] = []
    others: list[str] = []
    for number, rule in enumerate(rules):
        length = limits[rule.option] if rule.option else timedelta(0)
        if length is None:
            continue
        before = ctx.now - length - rule.later
        also, more = rule.also(ctx, length) if rule.also else ("1 = 1", {})
        values.update(more, **{f"before{number}": before})
        sql = (f"{rule.where} AND {rule.age} >= :earliest AND {rule.age} < :before{number} "
               f"AND ({also})")
        left = f" AND CASE WHEN {' OR '.join(others)} THEN 0 ELSE 1 END = 1" if others else ""
        others.append(f"({sql})")
        found.append(Selection(table, sql + left, rule.age, values, before))
    return found


def count(db, selections) -> int:
    """How many rows they are, which no two of them share. Each is counted by its index."""
    return sum(db.value(f"SELECT COUNT(*) FROM {{{each.table}}} WHERE {each.sql}", **each.values)
               for each in selections)


def delete(ctx, table: str, selections, files: str | None = None, within=None) -> dict:
    """Delete one Selection after the other, counted as `deleted`, or show them in a dry run. No row
    is in two of them. The counts.

    What ends it early is the run's reason to stop. `files`, `within`: as in BatchDeleter.
    """
    from .batch_delete import BatchDeleter

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
    """Count what would be deleted, and show the first rows of each Selection, in those columns of
    the job's sample that the table has."""
    from jobs_lib.database.schema import tables
    from jobs_lib.text import counted

    names = {column.name for column in tables.table(table).columns}
    shown = ", ".join(name for name in ctx.job.sample if name in names) or "id"
    rows: list[dict] = []
    total = 0
    for each in selections:
        number = ctx.within_limit(count(ctx.db, [each]), total)
        total += number
        if number and len(rows) < SAMPLE_ROWS:
            rows += ctx.db.query(f"SELECT {shown} FROM {{{table}}} WHERE {each.sql} "
                                 f"ORDER BY {each.age} LIMIT :most", **each.values,
                                 most=SAMPLE_ROWS)
    ctx.count("deleted", total)  # a job may have several purges
    ctx.show(f"delete {counted(total, 'row')} of {table}", rows[:SAMPLE_ROWS])
