"""`state_dir/deletions.jsonl`: which accounts are erased, kept where no database backup
reaches.

A backup that is put back brings deleted accounts with it; `--set reapply=yes` deletes them again by
this file, at once and without a notice. It names the database, and a user by id and by when the
account was made: ids may be given again, such an account is another one.
"""
from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta

from jobs_lib import clock
from jobs_lib.chunks import chunked
from jobs_lib.database.values import ordered
from jobs_lib.engines.spool import database_id
from jobs_lib.errors import JobsError
from jobs_lib.folders import open_own, private
from jobs_lib.text import counted

NAME = "deletions.jsonl"
TAIL = 256 * 1024                # octets: some 1,200 deletions
PAGE = 500
# how long after a deletion other programs' rows are looked for: nothing under way takes longer
LATE = timedelta(days=3)


def append(ctx, entry: dict) -> None:
    """Add a line, safe on the disk when this returns. The file is 0600. JobsError where that cannot
    be."""
    import json  # most runs find no deleted account
    path = _path(ctx)
    line = json.dumps({**entry, "database": database_id(ctx.db)}, sort_keys=True) + "\n"
    try:
        private(os.path.dirname(path))
        with os.fdopen(open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab") as file:
            end = file.tell()
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                line = "\n" + line          # a power cut left half a line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JobsError(f"{path}: {error.strerror}: no account is deleted for good before that is "
                        "written down there") from None


def _path(ctx) -> str:
    return os.path.join(ctx.section("core").state_dir, NAME)


def _entries(ctx, tail: int | None = None):
    """Each entry, oldest first, or those in the last `tail` octets; None for a line that is none.

    JobsError where the file cannot be read; none is there before the first deletion.
    `database`, `user_id`, `user_ref`, `created_at` of the account, `deleted_at`, `completed_at`.
    """
    try:
        with open(_path(ctx), "rb") as file:
            if tail is not None and file.seek(0, os.SEEK_END) > tail:
                file.seek(-tail, os.SEEK_END)
                file.readline()
            else:
                file.seek(0)
            for line in file:
                if line.strip():
                    yield _entry(line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise JobsError(f"{_path(ctx)} cannot be read: {error.strerror}") from None


def _entry(line: bytes) -> dict | None:
    import json
    try:
        entry = json.loads(line)
        clock.parse(entry["completed_at"])
        valid = type(entry["user_id"]) in (int, str) and entry["created_at"] and entry["database"]
        return entry if valid else None
    except (ValueError, KeyError, TypeError):
        return None


def recent(ctx) -> list:
    """The ids of users of this database that were erased so lately that late rows may come."""
    owner, since = database_id(ctx.db), ctx.now - LATE
    return sorted({entry["user_id"] for entry in _entries(ctx, TAIL)
                   if entry and entry["database"] == owner and clock.parse(entry["completed_at"])
                   >= since}, key=ordered)


# After a backup was put back

def reapply(ctx) -> str:
    """Give the users that were erased the status `deleted` again. The run then does the
    rest.

    Returns what the run has to fail with at its end, "" if all of the file was understood.
    """
    again = 0
    over = ctx.now - ctx.options.grace          # no second grace
    entries, unread = returned(ctx)
    for entry in entries:
        before = clock.parse_any(entry["deleted_at"]) or over
        again += ctx.db.execute(
            "UPDATE {users} SET status = 'deleted', deleted_at = :at WHERE id = :id "
            "AND created_at = :made"
            " AND (status <> 'deleted' OR deleted_at IS NULL OR deleted_at > :at)",
            id=entry["user_id"], made=entry["created_at"], at=min(before, over))
    ctx.count("reapplied", again)
    ctx.log.event("reapplied", accounts=again)
    if unread:
        ctx.log.warning("deletions not read", lines=unread, file=_path(ctx))
        return (f"{_path(ctx)}: {counted(unread, 'line')} could not be read, so an "
                "account may be back that was deleted. All others were deleted again. Look for a "
                "whole copy of that file")
    return ""


def returned(ctx) -> tuple[list[dict], int]:
    """The entries of the file whose user is there, and is the same: made at the same second; and
    how many lines are no entries.

    JobsError where there is no file, or it knows nothing of this database: nobody is to believe
    that all is done.
    """
    if not os.path.lexists(_path(ctx)):
        raise JobsError(f"there is no {_path(ctx)}, which says what was deleted: nothing was "
                        "deleted again. Put it there, the newest that there is. (None was made if "
                        "no account was ever deleted.)")
    owner = database_id(ctx.db)
    seen: Counter = Counter()           # whether a line is ours; None: it is no entry

    def ours():
        for entry in _entries(ctx):
            whose = entry and entry["database"] == owner
            seen[whose] += 1
            if whose:
                yield entry

    found = {entry["user_id"]: entry for page in chunked(ours(), PAGE)
             for entry in _there(ctx, page)}
    if seen[False] and not seen[True]:
        raise JobsError(f"{_path(ctx)} is about another database: nothing was deleted again. Put "
                        "the file of this database there, the newest that there is")
    return list(found.values()), seen[None]


def _there(ctx, page: list[dict]) -> list[dict]:
    made = {row["id"]: row["created_at"] for row in ctx.db.query(
        "SELECT id, created_at FROM {users} WHERE id IN (:ids)",
        ids=[entry["user_id"] for entry in page])}
    return [entry for entry in page if made.get(entry["user_id"]) == entry["created_at"]]
