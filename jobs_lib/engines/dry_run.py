"""What a purge would do, for a dry run: counted with the same Selections, and nothing written."""
from __future__ import annotations

import stat

from jobs_lib.database.schema import tables
from jobs_lib.text import counted

from . import spool

SAMPLE_ROWS = 5
PAGE = 200                   # names looked at in one query


def show_all(ctx, table: str, selections, files: str | None) -> None:
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
