"""The files of exports: their names, their folder, and deleting them.

A name is made of the request's id and of the run that makes it, so that another run finds what a
dead one left; nobody else can guess it. While it is written it ends with `.part`. Its row gets the
name by the commit that makes it `ready`, and loses it in the transaction that deletes the file.
"""
from __future__ import annotations

import hmac
import os
import re
from contextlib import suppress
from urllib.parse import quote

from jobs_lib.config.separate_folders import misplaced
from jobs_lib.engines.spool import database_id, mark, mark_folder
from jobs_lib.errors import ConfigError, JobsError
from jobs_lib.folders import HTACCESS, write

OPTION, MARKER = "[export] dir", ".jobs-exports"
LABEL = "export-file"           # of the derived key that names are made with
PART = ".part"
NAME = r"export-[^/]+-[0-9a-f]{32}\.zip"


def name_of(ctx, request_id, run_id) -> str:
    """The name of the file that a run makes for a request."""
    made = hmac.digest(ctx.secret(LABEL), f"{request_id} {run_id}".encode(), "sha256").hex()
    return f"export-{quote(str(request_id), safe='')}-{made[:32]}.zip"


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
    """Delete the files of a request (`id`; `file_name` of one that is made, `claim_run` of one that
    is being made), whole or half written; how many there were.

    Called in the transaction that takes these out of the row, before its COMMIT: a kill in between
    leaves a row that the next run ends again. JobsError where one cannot be deleted.
    """
    names, removed = _names(ctx, row), 0
    for path in (os.path.join(ctx.section("export").dir, name + end)
                 for name in names for end in ("", PART)):
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
                removed += 1
        except OSError as error:
            raise JobsError(f"{path} cannot be deleted: {error.strerror}") from None
    return removed


def _names(ctx, row: dict) -> list[str]:
    """Of a row's files, those that are ours alone."""
    run = row.get("claim_run")
    found = [str(row.get("file_name") or ""), name_of(ctx, row["id"], run) if run else ""]
    return [name for name in found if re.fullmatch(NAME, name)]


def remove_all(ctx, rows: list[dict]) -> int:
    """Delete the files of these requests of a deleted account, inside a transaction; what has none
    any more names none. How many there were."""
    missing = report_missing(ctx, rows)
    ctx.db.execute("UPDATE {export_requests} SET file_name = NULL WHERE id IN (:ids)",
                   ids=[row["id"] for row in rows if row["id"] not in missing])
    return sum(remove(ctx, row) for row in rows)


def report_missing(ctx, rows: list[dict]) -> list:
    """The ids of those whose file is not found, where the folder is not there or not this
    database's: it is still to be deleted, and the log names it."""
    folder = ctx.section("export").dir
    missing = [row for row in rows if (name := str(row.get("file_name") or ""))
               and re.fullmatch(NAME, name) and not os.path.lexists(os.path.join(folder, name))]
    if not missing or is_ours(ctx):
        return []
    ctx.count("files_not_found", len(missing))
    ctx.log.warning("exports not found", folder=folder, files=[row["file_name"] for row in missing],
                    what="the folder is not there, or has no mark of this database: their links "
                    "open nothing, but the files are still to be deleted")
    return [row["id"] for row in missing]
