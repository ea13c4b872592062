"""The files of exports: their names, their folder, and deleting them.

A name holds the request's id and 128 random bits. While it is written it ends with `.part`. Its row
names it before it is there, and loses the name in the transaction that deletes the file.
"""
from __future__ import annotations

import os
import re
from contextlib import suppress

from jobs_lib.config.separate_folders import misplaced
from jobs_lib.engines.spool import database_id, mark, mark_folder
from jobs_lib.errors import ConfigError, JobsError
from jobs_lib.folders import HTACCESS, write

OPTION, MARKER = "[export] dir", ".jobs-exports"
PART = ".part"
NAME = r"export-[^/]+-[0-9a-f]{32}\.zip"


def new_name(request_id) -> str:
    """A name that nobody can guess."""
    from urllib.parse import quote
    return f"export-{quote(str(request_id), safe='')}-{os.urandom(16).hex()}.zip"


def check(ctx) -> None:
    """ConfigError for a folder that cannot be for exports."""
    if problem := misplaced(ctx.section, "export", "dir"):
        raise ConfigError(problem)


def folder(ctx) -> str:
    """The folder, made and marked as this database's. JobsError for one that is not ours alone."""
    path = ctx.section("export").dir
    check(ctx)
    try:
        mark_folder(path, database_id(ctx.db), OPTION, MARKER)
        htaccess = os.path.join(path, ".htaccess")
        if not os.path.lexists(htaccess):       # also in a folder that somebody else has made
            write(htaccess, HTACCESS)
    except OSError as error:
        raise JobsError(f"{OPTION} = {path}: {error.strerror}") from None
    return path


def is_ours(ctx) -> bool:
    """Whether the folder is there, with the mark of this database: a disk may not be mounted."""
    owner = database_id(ctx.db)
    return bool(owner) and mark(ctx.section("export").dir, MARKER) == owner


def remove(ctx, row: dict) -> int:
    """Delete the file of a request (`id`, `file_name`), whole or half written; how many there were.

    Called in the transaction that takes the name out of the row, before its COMMIT: a kill in
    between leaves a row that the next run ends again. JobsError where it cannot be deleted.
    """
    name, removed = _name(row), 0
    for path in (os.path.join(ctx.section("export").dir, name + end) for end in ("", PART) if name):
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
                removed += 1
        except OSError as error:
            raise JobsError(f"{path} cannot be deleted: {error.strerror}") from None
    return removed


def _name(row: dict) -> str:
    """The name of a row's file; "" if it has none that is ours."""
    name = str(row["file_name"] or "")
    return name if re.fullmatch(NAME, name) else ""


def remove_all(ctx, rows: list[dict]) -> int:
    """Delete the files of these requests of a deleted account. How many there were."""
    report_missing(ctx, rows)
    return sum(remove(ctx, row) for row in rows)


def report_missing(ctx, rows: list[dict]) -> list:
    """The ids of those whose file is not found, where the folder is not there or not this
    database's: it is still to be deleted, and the log names it."""
    folder = ctx.section("export").dir
    missing = [row for row in rows if (name := _name(row))
               and not any(os.path.lexists(os.path.join(folder, name + end)) for end in ("", PART))]
    if not missing or is_ours(ctx):
        return []
    ctx.count("files_not_found", len(missing))
    ctx.log.warning("exports not found", folder=folder, files=[row["file_name"] for row in missing],
                    what="the folder is not there, or has no mark of this database: their links "
                    "open nothing, but the files are still to be deleted")
    return [row["id"] for row in missing]
