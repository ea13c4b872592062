"""The files of exports: their names, their folder, and deleting them.

A request has the name of its file from the commit that begins it, so that another run finds what a
dead one left; nobody can guess it. While the file is written, its name ends with `.part`.
"""
from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress

from jobs_lib.config.separate_folders import misplaced
from jobs_lib.engines.spool import database_id, mark, mark_folder
from jobs_lib.errors import ConfigError, JobsError
from jobs_lib.folders import HTACCESS, write

OPTION, MARKER = "[export] dir", ".jobs-exports"
PART = ".part"


def new_name() -> str:
    """A name for a file."""
    return f"export-{secrets.token_hex(16)}.zip"


def folder(ctx) -> str:
    """The folder, made and marked as this database's. ConfigError, JobsError for one that is not
    ours alone."""
    path = ctx.section("export").dir
    if wrong := misplaced(ctx.section, "export", "dir"):
        raise ConfigError(wrong)
    mark_folder(path, database_id(ctx.db), OPTION, MARKER)
    htaccess = os.path.join(path, ".htaccess")
    if not os.path.lexists(htaccess):           # in a folder that somebody else has made
        write(htaccess, HTACCESS)
    return path


def remove(ctx, name) -> int:
    """Delete the file of a request, by its `file_name`, whole or half written; how many there were.

    Called in the transaction that takes the name out of the row, before its COMMIT: a kill in
    between leaves a row that the next run ends again. JobsError where it cannot be deleted, or not
    be found since the folder is not there: a disk may not be mounted.
    """
    path, removed = ctx.section("export").dir, 0
    if not re.fullmatch(r"export-[0-9a-f]+\.zip", str(name)):
        return 0                            # none, or none of ours
    for each in (name, name + PART):
        try:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(path, each))
                removed += 1
        except OSError as error:
            raise JobsError(f"{path}/{each} cannot be deleted: {error.strerror}") from None
    if not removed and mark(path, MARKER) != database_id(ctx.db):
        raise JobsError(
            f"{OPTION} = {path} is not there, or has no mark of this database ({MARKER}), "
            f"and {name} in it is to be deleted: see whether its disk is mounted; if the files "
            "are lost, set `file_name` to NULL in the rows of `export_requests`")
    return removed
