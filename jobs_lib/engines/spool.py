"""Raw messages on disk: which file a row names, and when a file is deleted.

Several rows may name one file, so it is deleted only with the last of them. A name comes from
another program: absolute paths, `..` and links are refused, whatever they point to.
"""
from __future__ import annotations

import os
import stat
from contextlib import suppress
from itertools import chain

from jobs_lib import clock
from jobs_lib.database.stored import chunked
from jobs_lib.errors import JobsError, Missing
from jobs_lib.ports.outcomes import NOWHERE
from jobs_lib.text import one_line, words

NAMING_TABLES = ("failed_emails", "overflow_hold", "spam_quarantine")
ASKED_AT_ONCE = 600             # names in one query: few enough for every engine
# waiting messages without their files that are no accident, and how many are looked at
SEVERAL, LOOKED_AT = 3, 100
MARKER = ".jobs-spool"          # holds the id of the database whose rows name the files
FIX = ("Correct that path, or mount its disk; if it is the right folder, `jobs.py migrate` makes "
       "and marks it")


class SpoolError(ValueError):
    """A `raw_path` that must not be followed."""


def locate(folder: str, raw_path: str) -> str:
    """The path of a row's file. SpoolError for a name that leaves the folder or goes by a link."""
    path = folder
    for part in raw_path.split("/") if isinstance(raw_path, str) else [""]:     # octets name none
        path = os.path.join(path, part)
        # An empty part begins "/etc"; a hidden one is our own mark, or "..".
        if part[:1] in ("", ".") or "\\" in part or "\0" in part or os.path.islink(path):
            from jobs_lib.ports.mail.reasons import BAD_PATH
            raise SpoolError(BAD_PATH.format(
                path=repr(raw_path)[:80],
                error="expected a path below the spool folder, without '..' and links"))
    return path


def is_there(folder: str, raw_path: str) -> bool:
    """Whether a row's file is there; also where that may not be looked at."""
    try:
        os.lstat(locate(folder, raw_path))
    except SpoolError:
        return False
    except OSError as error:
        return error.errno not in NOWHERE
    return True


# The files of rows that are deleted

def drop(ctx, raw_paths) -> None:
    """Delete the files of rows that the open transaction has deleted, unless another row names
    them; counted as `files` and `bytes_freed`.

    Before the COMMIT: a kill in between brings back rows that are past their time, and the next run
    deletes them. JobsError, and so no COMMIT, where the system refuses.
    """
    wanted = {path for path in raw_paths if isinstance(path, str)}      # octets name no file
    for raw_path in sorted(wanted - _named(ctx.db, wanted)):
        try:
            path = locate(ctx.section("spool").dir, raw_path)
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                os.unlink(path)
                ctx.count("files")
                ctx.count("bytes_freed", status.st_size)
        except SpoolError:
            continue
        except OSError as error:
            if error.errno not in NOWHERE:
                raise JobsError(f"{path} cannot be deleted ({error.strerror}), so its row is kept, "
                                "too") from None


def _named(db, raw_paths) -> set[str]:
    """Those of the names that any row of any table uses. A locking read: of two jobs that delete
    the last two rows of a file at the same moment, the later one waits for the other's COMMIT, and
    finds no row."""
    return {row["raw_path"] for some in chunked(sorted(raw_paths), ASKED_AT_ONCE)
            for table in NAMING_TABLES for row in db.query(
                f"SELECT raw_path FROM {{{table}}} WHERE raw_path IN (:some){db.for_update}",
                some=some)}


# The mark: a wrong path, or a disk that is not mounted, must not make every message look missing

def wrong_folder(db, folder: str) -> str | None:
    """Why [spool] dir is not the folder that `migrate` marked for this database, in a sentence."""
    owner = database_id(db)
    if owner and mark(folder) == owner:
        return None
    what = (f" does not carry the mark of this database ({MARKER}): it is another folder, or its "
            "disk is not mounted" if os.path.isdir(folder) else ": there is no such folder")
    return f"[spool] dir = {folder}{what}"


def need_folder(db, folder: str) -> None:
    """JobsError unless [spool] dir is the folder that `migrate` marked for this database."""
    if wrong := wrong_folder(db, folder):
        raise JobsError(f"{wrong}. Nothing was tried. {FIX}")


def refuse_lost(db, folder: str) -> None:
    """JobsError where `migrate` would mark a folder in which none of the forwards that wait has its
    file: on a disk that is not mounted, they would end as missing messages."""
    with suppress(Missing):         # an app that has no such table
        if mark(folder) != database_id(db) and (wrong := all_missing(db, folder)):
            raise JobsError(wrong)


def all_missing(db, folder: str) -> str | None:
    """A sentence if none of several waiting forwards has its file: no message may pay for that."""
    waiting = "SELECT id, next_attempt_at, raw_path FROM {failed_emails} WHERE status = 'pending'"
    some = db.query(f"{waiting} LIMIT :most", most=LOOKED_AT)
    # these may be of one owner, who has lost them: then the others are looked at, too
    rest = db.pages(f"{waiting} AND next_attempt_at >= :first", key=("next_attempt_at", "id"),
                    size=50 * LOOKED_AT, first=clock.FIRST)
    paths = {row["raw_path"] for row in some}
    if len(paths) < SEVERAL or any(is_there(folder, row["raw_path"])
                                   for row in chain(some, chain.from_iterable(rest))):
        return None
    example = one_line(words(max(paths, key=lambda path: str(path or "")) or ""))[:80]
    return (f"none of the {len(paths):,} waiting messages looked at is in [spool] dir = {folder}, "
            f"such as {example}: its disk is not mounted, or that folder or the app's file names "
            "are wrong. Nothing was tried. Correct it; if the messages are lost, cancel their "
            "rows: `jobs.py cancel forwards ID ...`")


def mark(folder: str, marker: str = MARKER) -> str | None:
    """The database id that the folder is marked with, if it is marked."""
    try:
        with open(os.path.join(folder, marker), encoding="utf-8") as file:
            return file.read(100).strip()
    except (OSError, ValueError):
        return None


def database_id(db) -> str:
    """What `migrate` named this database; "" before that."""
    return db.value("SELECT value FROM {meta} WHERE name = 'database_id'") or ""
