"""The files of exports: their names, their folder, and when one goes.

A name holds the request's id, by which its row is found, and 128 random bits. While it is
written it ends with `.part`; its row names it before it is there, so whatever a row of that number
does not name is nobody's any more.
"""
from __future__ import annotations

import errno
import os
import re
import stat

from jobs_lib.chunks import chunked
from jobs_lib.config.separate_folders import misplaced
from jobs_lib.engines.spool import database_id, mark, mark_folder
from jobs_lib.errors import ConfigError, JobsError
from jobs_lib.folders import HTACCESS, write

OPTION, MARKER = "[export] dir", ".jobs-exports"
PART = ".part"
NAME = r"(?a)export-([\w.~%-]{1,200})-[0-9a-f]{32}\.zip(?:\.part)?"
ASKED_AT_ONCE = 500         # requests in one question
OTHERS = stat.S_IRWXG | stat.S_IRWXO
# a file of a number that no row has is left alone so long: the database may be another
UNKNOWN_SECONDS = 3600


def new_name(request_id) -> str:
    """A name that nobody can guess."""
    from urllib.parse import quote
    return f"export-{quote(str(request_id), safe='')}-{os.urandom(16).hex()}.zip"


def request_of(db, name: str):
    """The id of the request that a file is of, by its name; None of one that is none of ours."""
    if not (match := re.fullmatch(NAME, name)):
        return None
    from urllib.parse import unquote
    id = unquote(match[1])
    if "export_requests" in db.text_keys:
        return id
    return int(id) if id.isdecimal() and len(id) < 19 else None


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
        # Private, unless others' files are in it: those may have to be read by somebody.
        if stat.S_IMODE(os.stat(path).st_mode) & OTHERS and all(
                name.startswith(".") or re.fullmatch(NAME, name) for name in os.listdir(path)):
            os.chmod(path, 0o700)
    except OSError as error:
        raise JobsError(f"{OPTION} = {path}: {_why(path, error)}") from None
    return path


def _why(path: str, error: OSError) -> str:
    """Why this folder cannot be used, in words."""
    at = path
    while not os.path.lexists(at):
        at = os.path.dirname(at)
    if not os.path.isdir(at):
        return f"{at} is no folder" + (", but a link to what is not there" if not os.path.exists(at)
                                       else "")
    if error.errno == errno.ENOENT:
        return f"no folder can be made in {at}"
    denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    return f"{error.strerror}{': this user must be able to write there' if denied else ''}"


def remove_files(ctx, rows) -> tuple[int, list[int]]:
    """Remove the files of these requests (`id`, `file_name`, `file_bytes`), whole or half written.

    How many were there, and the ids of the requests of which no file is left for certain: not of
    those whose finished file was not found, or could not be removed, which the log names. Their
    names stay in their rows. Take the requests' status away first, so that the app refuses them;
    delete their rows after. Killed in between, the file is found by its number and removed by the
    next run of export_accounts.
    """
    path, removed, settled = ctx.section("export").dir, 0, []
    for row in rows:
        name, here = row["file_name"] if isinstance(row["file_name"], str) else "", 0
        ours = re.fullmatch(NAME, name) and not name.endswith(PART)
        if ours:
            here = sum(_remove(ctx, path, ending) for ending in (name, name + PART))
        removed += here
        if here or not ours or not row["file_bytes"]:
            settled.append(row["id"])
        else:
            ctx.log.warning("export not found", id=row["id"], file=name, folder=path,
                            what="it may be in another folder: look for it, and delete it")
    return removed, settled


def sweep(ctx) -> int:
    """Remove the files that no row needs any more: what a killed run left. How many."""
    path = ctx.section("export").dir
    found = {name: id for name in listed(path) if (id := request_of(ctx.db, name)) is not None}
    if not found or mark(path, MARKER) != (owner := database_id(ctx.db)) or not owner:
        return 0
    return sum(_remove(ctx, path, name) for name in unneeded(ctx, path, found))


def unneeded(ctx, path: str, found: dict) -> list[str]:
    """Those of the files {name: number of the request} that no row needs."""
    needed: dict = {}           # {number: the names that its row needs}
    for some in chunked(set(found.values()), ASKED_AT_ONCE):
        needed.update({row["id"]: _needed(row) for row in ctx.db.query(
            "SELECT id, status, file_name FROM {export_requests} WHERE id IN (:some)", some=some)})
    old = ctx.clock().timestamp() - UNKNOWN_SECONDS
    return [name for name, number in found.items()
            if (name not in needed[number] if number in needed
                else _changed(os.path.join(path, name)) < old)]


def _needed(row: dict) -> tuple:
    name = row["file_name"]
    return {"running": (name, f"{name}{PART}"), "ready": (name,)}.get(row["status"], ())


def listed(path: str) -> list[str]:
    """The names in this folder; none if it cannot be read."""
    try:
        return os.listdir(path)
    except OSError:                         # not there yet
        return []


def _changed(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return float("inf")


def _remove(ctx, folder: str, name: str) -> int:
    """Whether a file of this name existed and is missing."""
    path = os.path.join(folder, name)
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return 0
        os.unlink(path)
        return 1
    except FileNotFoundError:
        return 0
    except OSError as error:
        ctx.log.warning("file not removed", file=name, error=error.strerror)
        return 0
