"""Where the files of exports are: in the folder that is set, and in those that were set before.

Each folder that was used is remembered in `[core] state_dir`, so that a file goes in time wherever it was written.
Not in the database: a copy of that, as for a sandbox, must never reach the files of the original.
"""
from __future__ import annotations

import os
from functools import partial

from .. import clock, folders
from . import export_files as files
from .spool import database_id, mark

AT_ONCE = 200                # owners told in one run
NAME = "export-folders"      # in state_dir: whose it is, and a folder a line


def all_of(ctx) -> list[str]:
    """The folder that is set, and those before it that carry the mark of this database."""
    path = ctx.section("export").dir
    before = [each for each in _remembered(ctx) if each != path]
    owner = database_id(ctx.db) if before else ""
    return [path, *(each for each in before if owner and mark(each, files.MARKER) == owner)]


def remember(ctx, path: str) -> None:
    """This folder is used from now on."""
    known = _remembered(ctx)
    if path not in known:
        state = ctx.section("core").state_dir
        folders.write(os.path.join(folders.private(state), NAME),
                      "\n".join([os.path.realpath(state), *known, path]) + "\n")


def _remembered(ctx) -> list[str]:
    """None in a state_dir that was copied to another place: the files are the original's."""
    state = ctx.section("core").state_dir
    try:
        with open(os.path.join(state, NAME), encoding="utf-8", errors="surrogateescape") as file:
            owner, *known = file.read().splitlines()
    except (OSError, ValueError):
        return []
    return known if owner == os.path.realpath(state) else []


def look(ctx, counts: dict) -> None:
    """Whether what can be downloaded is there: an export without its file is none, and its owner is told."""
    rows = ctx.db.query("SELECT id, user_id, requested_at, file_name FROM {export_requests} WHERE status = 'ready'")
    path = ctx.section("export").dir
    there = set(files.listed(path)) if rows else set()
    gone = [row for row in rows if row["file_name"] not in there]
    if rows and len(gone) < len(rows):
        remember(ctx, path)
    if not gone:
        return
    moved = {name for before in all_of(ctx)[1:] for name in files.listed(before)}
    away = [row for row in gone if row["file_name"] in moved]
    if mark(path, files.MARKER) != database_id(ctx.db):
        away = gone                         # a disk that is not there must cost nobody an export
    if away:
        counts["not_in_folder"] = len(away)
        ctx.log.warning("exports are not in their folder", exports=len(away), folder=path,
                        what="their links open nothing: move the files there")
    stay = {row["id"] for row in away}
    for row in [row for row in gone if row["id"] not in stay][:AT_ONCE]:
        if ctx.should_stop():
            return
        ctx.db.batch(partial(_lost, ctx, row, counts))


def _lost(ctx, row: dict, counts: dict) -> None:
    from . import export_notices, exports

    if ctx.db.execute(f"UPDATE {{export_requests}} SET status = 'failed', error = :error, file_name = NULL,"
                      f" {exports.NO_TOKEN} WHERE id = :id AND status = 'ready' AND expires_at > :now", id=row["id"],
                      error="its file was removed by somebody else", now=clock.text(ctx.now)):
        counts["failed"] += 1
        ctx.log.warning("export lost", id=row["id"], file=row["file_name"], what="its file is not there any more")
        export_notices.lost(ctx, exports.owner(ctx, row), row)
