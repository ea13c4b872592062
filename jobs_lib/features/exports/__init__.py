"""The files of exports: their names, their folder, the token that opens one, and deleting them.

A request has the name of its file from the commit that begins it, so that another run finds what a
dead one left; nobody can guess it. While the file is written, its name ends with `.part`.
"""
from __future__ import annotations

import os
import re
from contextlib import suppress
from hashlib import sha256

from jobs_lib import clock
from jobs_lib.engines.spool import database_id, mark
from jobs_lib.errors import JobsError
from jobs_lib.folders import mark_folder, refuse_web
from jobs_lib.records import namedtuple

OPTION, MARKER = "[export] dir", ".jobs-exports"
PART = ".part"

Export = namedtuple("Export", "path name bytes sha256 request_id user_id expires_at")
Export.__doc__ = """An export that may be given out now.

path        of the file                    name     for the one who downloads it
bytes       its size, sha256 its hash      expires_at   aware UTC datetime
"""


def folder(ctx) -> str:
    """The folder, made and marked as ours. JobsError where it is another's, or cannot be made."""
    path = ctx.section("export").dir
    try:
        mark_folder(path, MARKER, database_id(ctx.db), OPTION)
        refuse_web(path)
    except OSError as error:
        raise JobsError(f"{OPTION} = {path}: {error.strerror}. The requests wait") from None
    return path


def remove(ctx, name) -> int:
    """Delete the file of a request, by its `file_name`, whole or half written; how many there were.

    Called in the transaction that takes the name out of the row, before its COMMIT: a kill in
    between leaves a row that the next run ends again. JobsError where it cannot be deleted, or not
    be found since the folder is not there: a disk may not be mounted.
    """
    path, removed = ctx.section("export").dir, 0
    if not re.fullmatch(r"export-[0-9a-f]+\.zip", str(name)):
        return 0  # none, or none of ours
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
            f"and {name} in it is to be deleted: check that its disk is mounted; if the files "
            "are lost, set `file_name` to NULL in the rows of `export_requests`")
    return removed


# The link that opens one

def hashed(token: str) -> str:
    """What the column `token_hash` has."""
    return sha256(token.encode("utf-8", "replace")).hexdigest()


def page(config) -> str:
    """The page of the app that takes the token; "" if none is known. `config`: a Context, too."""
    app = config.section("core").app_url.rstrip("/")
    return config.section("export").url or (app and app + "/export")


def link(url: str, token: str) -> str:
    """The page with the token as its parameter `t`."""
    return f"{url}{'&' if '?' in url else '?'}t={token}"


def find(config, db, token: str, now) -> Export | None:
    """What `jobs_lib.find_export` returns to an app. Nothing is changed by asking."""
    row = db.row("SELECT id, user_id, file_name, file_bytes, sha256, expires_at "
                 "FROM {export_requests} WHERE token_hash = :hash AND status = 'ready' "
                 "AND expires_at > :now AND EXISTS (SELECT 1"
                 " FROM {users} WHERE {users}.id = {export_requests}.user_id "
                 "AND {users}.status <> 'deleted')", hash=hashed(str(token)),
                 now=now or clock.now())
    path = row and os.path.join(config.section("export").dir,
                                os.path.basename(str(row["file_name"])))
    if not path or os.path.islink(path) or not os.path.isfile(path):
        return None
    return Export(path, "account-export.zip", row["file_bytes"], row["sha256"], row["id"],
                  row["user_id"], clock.parse(row["expires_at"]))
