"""What a purge would do, for a dry run: counted with the same Selection, and nothing written."""
from __future__ import annotations

import os
import stat

from jobs_lib.chunks import chunked
from jobs_lib.database.schema import tables

from . import spool

SAMPLE_ROWS = 5
WINDOW = 2000                # ids looked at in one query


def preview(ctx, chosen, files: str | None, trouble: str | None, more=()) -> dict:
    """Show a sample and return the counts that a run would end with. `trouble`: why it would stop
    instead.

    `more` are the Selections of further rows; none of them is in `chosen` too.
    """
    counts = {"deleted": chosen.count(ctx.db) + sum(others.count(ctx.db) for others in more)}
    if ctx.limit is not None:
        counts["deleted"] = min(counts["deleted"], ctx.limit)
    tell(ctx, chosen.table, counts["deleted"], _sample(ctx, chosen), trouble)
    if files:
        if ctx.limit is None:           # else nobody can tell which rows it will be
            counts.update(_files(ctx, chosen, files))
        from .orphan_files import preview as sweep_preview
        sweep_preview(ctx, counts)
    return counts


def tell(ctx, table: str, number: int, rows: list[dict], trouble: str | None) -> None:
    """Show that so many rows would go, some of them, and why a run would stop instead."""
    ctx.show(f"delete {number:,} row{'s' * (number != 1)} of {table}", rows,
             f"a run would stop: {trouble}" if trouble else "")


def _sample(ctx, chosen) -> list[dict]:
    """The first rows that would go, oldest first, by those of the job's sample that this table
    has."""
    names = {column.name for column in tables.table(chosen.table).columns}
    shown, rows = [name for name in ctx.job.sample if name in names] or ["id"], []
    for arm in chosen.arms:
        rows += ctx.db.query(f"SELECT {', '.join(shown)} FROM {{{chosen.table}}} WHERE {arm.sql}"
                             f" ORDER BY {arm.age} LIMIT :most", **chosen.values, most=SAMPLE_ROWS)
    return rows[:SAMPLE_ROWS]


def _files(ctx, chosen, column: str) -> dict:
    """How many files would go with the rows, and their bytes: those that no row names which
    stays."""
    table, by_key = f"{{{chosen.table}}}", ctx.db.dialect.by_key
    stays = f"CASE WHEN {chosen.sql} THEN 0 ELSE 1 END"
    folder, files, freed, low = ctx.section("spool").dir, 0, 0, 0
    while not ctx.should_stop():
        low = ctx.db.value(f"SELECT MIN(id) FROM {table} WHERE id > :low", low=low)
        if low is None:
            break
        paths = {row["path"] for row in ctx.db.query(
            f"SELECT {column} AS path FROM {table}{by_key} WHERE id BETWEEN :low AND :high "
            f"AND {chosen.sql}",
            low=low, high=low + WINDOW - 1, **chosen.values) if isinstance(row["path"], str)}
        for path in paths - _needed(ctx.db, paths, chosen, column, stays, low):
            status = _status(folder, path)
            if status is not None:
                files, freed = files + 1, freed + status.st_size
        low += WINDOW - 1
    return {"files": files, "bytes_freed": freed}


def _needed(db, paths: set, chosen, column: str, stays: str, low: int) -> set:
    """Those that a row names which stays, and those that were counted with a row before `low`."""
    needed: set = set()
    for some in chunked(sorted(paths), spool.ASKED_AT_ONCE):
        for table in spool.NAMING_TABLES:
            rule = f" AND ({stays} = 1 OR id < :low)" if table == chosen.table else ""
            values = {**chosen.values, "low": low} if rule else {}
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
