"""What a purge would do, for a dry run: counted with the same Selection, and nothing written."""
from __future__ import annotations

import os
import stat

from jobs_lib.database.schema import tables
from jobs_lib.database.values import chunked
from jobs_lib.text import counted

from . import spool

SAMPLE_ROWS = 5
PAGE = 200                   # rows looked at in one query


def preview(ctx, due, more=()) -> dict:
    """Show what purge.finish would delete, and return the counts that it would end with.

    `more` are the Selections of further rows; none of them is in that of `due` too.
    """
    chosen, files = due.chosen, due.purge.files
    number = chosen.count(ctx.db) + sum(others.count(ctx.db) for others in more)
    number = ctx.within_limit(number)
    ctx.count("deleted", number)            # a job may have several purges
    show_deletion(ctx, chosen.table, number, sample(ctx, chosen))
    if files and ctx.limit is None:         # else it is unknown which rows it will be
        _count_files(ctx, chosen, files)
    return ctx.counts


def show_deletion(ctx, table: str, number: int, rows: list[dict]) -> None:
    """Show how many rows would be deleted, and some of them."""
    ctx.show(f"delete {counted(number, 'row')} of {table}", rows)


def sample(ctx, chosen) -> list[dict]:
    """The first rows that would go, oldest first, by those of the job's sample that this table
    has."""
    names = {column.name for column in tables.table(chosen.table).columns}
    shown, rows = [name for name in ctx.job.sample if name in names] or ["id"], []
    for branch in chosen.branches:
        found = ctx.db.query(
            f"SELECT {', '.join(shown)} FROM {{{chosen.table}}} WHERE {branch.sql}"
            f" ORDER BY {branch.age} LIMIT :most", **chosen.values, most=SAMPLE_ROWS)
        rows += [row for row in found if row not in rows]       # two rules may have the same one
    return rows[:SAMPLE_ROWS]


def _count_files(ctx, chosen, column: str) -> None:
    """Count the files that would go with the rows, and their bytes: those that no row names which
    stays."""
    folder = ctx.section("spool").dir
    ctx.counts.update(files=0, bytes_freed=0)
    for rows in ctx.db.pages(f"SELECT id, {column} AS path FROM {{{chosen.table}}}"
                             f"{ctx.db.by_key(chosen.table)} WHERE "
                             f"{ctx.db.from_start(chosen.table)} AND {chosen.sql}",
                             size=PAGE, **chosen.values):
        if ctx.should_stop():
            return
        paths = {row["path"] for row in rows if isinstance(row["path"], str)}
        for path in paths - _needed(ctx.db, paths, chosen, column, rows[0]["id"]):
            status = _status(folder, path)
            if status is not None:
                ctx.count("files")
                ctx.count("bytes_freed", status.st_size)


def _needed(db, paths: set, chosen, column: str, low) -> set:
    """Those that a row names which stays, and those that were counted with a row before `low`."""
    needed: set = set()
    stays = f" AND (CASE WHEN {chosen.sql} THEN 0 ELSE 1 END = 1 OR id < :low)"
    for some in chunked(sorted(paths), spool.ASKED_AT_ONCE):
        for table in spool.NAMING_TABLES:
            rule, values = "", {}
            if table == chosen.table:
                rule, values = stays, {**chosen.values, "low": low}
            needed |= {row["path"] for row in db.query(
                f"SELECT {column} AS path FROM {{{table}}} WHERE {column} IN (:some){rule}",
                some=some, **values)}
    return needed


def _status(folder: str, path: str):
    try:
        status = os.lstat(spool.locate(folder, path))
    except (spool.SpoolError, OSError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None
