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


def problem(ctx) -> str | None:
    """Why the folder cannot be for exports, in a sentence."""
    return misplaced(ctx.section, "export", "dir")


def folder(ctx) -> str:
    """The folder, made and marked as this database's. ConfigError, JobsError for one that is not
    ours alone."""
    path = ctx.section("export").dir
    if wrong := problem(ctx):
        raise ConfigError(wrong)
    try:
        mark_folder(path, database_id(ctx.db), OPTION, MARKER)
        htaccess = os.path.join(path, ".htaccess")
        if not os.path.lexists(htaccess):       # also in a folder that somebody else has made
            write(htaccess, HTACCESS)
    except OSError as error:
        raise JobsError(f"{OPTION} = {path}: {error.strerror}") from None
    return path


def remove(ctx, row: dict) -> int:
    """Delete the files of a request (`id`; `file_name` of one that is made, `claim_run` of one that
    is being made), whole or half written; how many there were.

    Called in the transaction that takes these out of the row, before its COMMIT: a kill in between
    leaves a row that the next run ends again. JobsError where one cannot be deleted, or cannot be
    found since the folder is not there: a disk may not be mounted.
    """
    path, removed = ctx.section("export").dir, 0
    name, run = str(row.get("file_name") or ""), row.get("claim_run")
    if not re.fullmatch(NAME, name):
        name = name_of(ctx, row["id"], run) if run else ""
    for each in (name, name + PART) if name else ():
        try:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(path, each))
                removed += 1
        except OSError as error:
            raise JobsError(f"{path}/{each} cannot be deleted: {error.strerror}") from None
    if name and not removed and mark(path, MARKER) != database_id(ctx.db):
        raise JobsError(
            f"{OPTION} = {path} is not there, or has no mark of this database ({MARKER}), "
            f"and {name} in it is to be deleted: see whether its disk is mounted; if the files "
            "are lost, set `file_name` to NULL in the rows of `export_requests`")
    return removed
