"""Raw messages on disk: which file a row names, and when a file is deleted.

Several rows may name one file, so it is deleted only with the last of them. A name comes from
another program: absolute paths, `..` and links are refused, whatever they point to.
"""
from __future__ import annotations

import errno
import os
import stat

from jobs_lib.database.values import chunked, one_line, words
from jobs_lib.errors import JobsError
from jobs_lib.folders import kept, private, write

NAMING_TABLES = ("failed_emails", "overflow_hold", "spam_quarantine")
ASKED_AT_ONCE = 600             # names in one query: few enough for every engine
# waiting messages without their files that are no accident, and how many are looked at
SEVERAL, LOOKED_AT = 3, 1000
MARKER = ".jobs-spool"          # holds the id of the database whose rows name the files
NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)     # no file can be there


class SpoolError(ValueError):
    """A `raw_path` that must not be followed."""


def locate(folder: str, raw_path: str) -> str:
    """The absolute path of a row's file. SpoolError for a name that leaves the folder or goes by a
    link."""
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


def look(folder: str, raw_path: str):
    """The status of a row's file, as of `os.lstat`; None where none can be there. OSError where
    that may not be looked at."""
    try:
        return os.lstat(locate(folder, raw_path))
    except SpoolError:
        return None
    except OSError as error:
        if error.errno in NOWHERE:
            return None
        raise


def is_there(folder: str, raw_path: str) -> bool:
    """Whether a row's file is there; also where that may not be looked at."""
    try:
        return look(folder, raw_path) is not None
    except OSError:
        return True


# The files of rows that are deleted

def drop(db, folder: str, raw_paths) -> tuple[int, int]:
    """Delete the files of rows that the open transaction has deleted, unless another row names
    them. How many files, and their bytes.

    Before the COMMIT: a kill in between brings back rows that are past their time, and the next run
    deletes them. JobsError, and so no COMMIT, where the system refuses.
    """
    wanted = {path for path in raw_paths if isinstance(path, str)}      # octets name no file
    sizes = []
    # A locking read: of two jobs that delete the last two rows of a file at the same moment, the
    # later one waits for the other's COMMIT, and finds no row.
    for path in sorted(wanted - named(db, wanted, lock=db.for_update)):
        try:
            sizes.append(remove(folder, path))
        except OSError as error:
            raise JobsError(f"{os.path.join(folder, path)} cannot be deleted "
                            f"({error.strerror}), so its row stays, too") from None
    freed = [size for size in sizes if size is not None]
    return len(freed), sum(freed)


def named(db, raw_paths, but: tuple = ("", "", {}), lock: str = "") -> set[str]:
    """Those of the names that any row of any table uses. `but`: (table, SQL, values) of rows that
    do not count."""
    found = set()
    for some in chunked(sorted(raw_paths), ASKED_AT_ONCE):
        for table in NAMING_TABLES:
            rule, values = "", {}
            if table == but[0]:
                rule, values = f" AND CASE WHEN {but[1]} THEN 0 ELSE 1 END = 1", but[2]
            # MySQL takes "a" and "a " for equal: spaces at the end do not count.
            found |= {row["raw_path"].rstrip(" ") for row in db.query(
                f"SELECT raw_path FROM {{{table}}} WHERE raw_path IN (:some){rule}{lock}",
                some=some, **values)}
    return {name for name in raw_paths if name.rstrip(" ") in found}


def remove(folder: str, raw_path: str) -> int | None:
    """Delete the file and return its bytes; None when it was deleted already, is no regular file
    or has a bad name. OSError when the system refuses."""
    status = look(folder, raw_path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    os.unlink(locate(folder, raw_path))
    return status.st_size


# The mark: a wrong path, or a disk that is not mounted, must not make every message look missing

def need_folder(db, folder: str) -> None:
    """JobsError unless [spool] dir is the folder that `migrate` marked for this database."""
    owner = database_id(db)
    if not owner or mark(folder) != owner:
        what = (f" does not carry the mark of this database ({MARKER}): it is another folder, or "
                "its disk is not there" if os.path.isdir(folder) else ": there is no such folder")
        raise JobsError(f"[spool] dir = {folder}{what}. Nothing was tried; if it is the right one, "
                        "`jobs.py migrate` makes and marks it")


def all_missing(db, folder: str) -> str | None:
    """Of several forwards that wait none has its file: then it is the names or the folder that is
    wrong, and no message may pay for it. A sentence, or None."""
    paths = {row["raw_path"] for row in db.query(
        "SELECT raw_path FROM {failed_emails} WHERE status IN ('pending', 'sending') "
        "LIMIT :most", most=LOOKED_AT)}
    if len(paths) < SEVERAL or any(is_there(folder, path) for path in paths):
        return None
    example = one_line(words(min(filter(None, paths), key=str)))[:80]
    return (f"none of the {len(paths):,} waiting messages looked at is in [spool] dir = {folder}, "
            f"such as {example}: that folder, or the app's names of the files, are wrong. Nothing "
            "was tried. Correct it, so that the two together are the path of the file; if the "
            "messages are lost, end their rows: `jobs.py cancel forwards ID ...`")


def mark_folder(folder: str, owner: str, option: str = "[spool] dir",
                marker: str = MARKER) -> None:
    """Make the folder, private, and write down which database (its id) has the rows of its files.
    JobsError when it is marked for another."""
    path = os.path.join(private(folder), marker)
    try:
        marked = kept(path, lambda: owner)
        if marked != owner and all(name.startswith(".") for name in os.listdir(folder)):
            # a first try with another database left nothing in it
            write(path, owner + "\n")
            marked = owner
    except OSError as error:
        raise JobsError(f"{option} = {folder} cannot be marked as ours: {error.strerror}") from None
    if marked != owner:
        raise JobsError(f"{path} says that this folder belongs to another database "
                        f"({marked[:8]}..., ours is {owner[:8]}...): let {option} name a folder of "
                        "its own. If this database has taken the other's place, delete that file "
                        "and run `jobs.py migrate`")


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
