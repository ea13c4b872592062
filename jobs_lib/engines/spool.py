"""Raw messages on disk: which file a row names, and when a file may go.

Several rows may name one file, so it is deleted only with the last of them. A name comes from
another program: absolute paths, `..` and links are refused, whatever they point to.
"""
from __future__ import annotations

import errno
import os
import stat

from jobs_lib.chunks import chunked
from jobs_lib.config.separate_folders import DATABASE, misplaced
from jobs_lib.database.values import one_line, words
from jobs_lib.errors import ConfigError, JobsError
from jobs_lib.folders import kept, private, write
from jobs_lib.paths import HOME

NAMING_TABLES = ("failed_emails", "overflow_hold", "spam_quarantine")
# names in one query: few enough for every engine, so that a million take some thousand
ASKED_AT_ONCE = 600
# waiting messages without their files that are no accident, and how many are looked at
SEVERAL, LOOKED_AT = 3, 1000
MARKER = ".jobs-spool"       # holds the id of the database whose rows name the files of this folder


class SpoolError(ValueError):
    """A `raw_path` that must not be followed."""


def locate(folder: str, raw_path: str) -> str:
    """The absolute path of a row's file. SpoolError for a name that leaves the folder or goes by a
    link."""
    path = folder
    for part in _parts(raw_path):
        path = os.path.join(path, part)
        if os.path.islink(path):
            raise _bad_path(repr(raw_path[:80]), f"{part!r} is a link, which is never followed")
    return path


def unneeded(db, raw_path: str, still: str = "") -> bool:
    """Whether no row names the file. `still` narrows `failed_emails`: rows that need it, such as
    `status <> 'sent'`."""
    for table in NAMING_TABLES:
        rule = f" AND {still}" if still and table == "failed_emails" else ""
        if db.row(f"SELECT raw_path FROM {{{table}}} WHERE raw_path = :raw_path{rule} LIMIT 1",
                  raw_path=raw_path):
            return False
    return True


def named(db, raw_paths) -> set[str]:
    """Those of the names that any row of any table uses."""
    wanted, found = [path for path in raw_paths if isinstance(path, str)], set()
    for some in chunked(wanted, ASKED_AT_ONCE):
        for table in NAMING_TABLES:
            # MySQL takes "a" and "a " for equal, and DISTINCT gives one of them: spaces at the end
            # do not count.
            found |= {row["raw_path"].rstrip(" ") for row in db.query(
                f"SELECT DISTINCT raw_path FROM {{{table}}} WHERE raw_path IN (:some)", some=some)}
    return {name for name in wanted if name.rstrip(" ") in found}


def remove(folder: str, raw_path: str) -> int | None:
    """Delete the file and return its bytes; None when it was deleted already, is no regular file
    or has a bad name.

    Each folder on the way is opened by itself and never through a link, so that nothing which is
    put in its place meanwhile leads elsewhere. OSError when the system refuses.
    """
    try:
        *above, name = _parts(raw_path)
        parent = _open(folder, above)
    except (SpoolError, FileNotFoundError, NotADirectoryError):
        return None
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            return None
        os.unlink(name, dir_fd=parent)
        return status.st_size
    except FileNotFoundError:
        return None
    finally:
        os.close(parent)


def need_folder(db, section_of) -> None:
    """JobsError unless [spool] dir is the folder that `migrate` marked for this database, and a
    folder of its own: what is in it and has no row is removed in time.

    A wrong path or a disk that is not mounted must not make every message look missing: no message
    may pay for it.
    """
    folder = section_of("spool").dir
    if wrong := misplaced(section_of, "spool", "dir", [(DATABASE, db.file)]):
        raise ConfigError(wrong)
    if not os.path.isdir(folder):
        raise JobsError(f"[spool] dir = {folder}: there is no such folder. Nothing was tried; if "
                        "it is the right one, `jobs.py migrate` makes it")
    if mark(folder) != database_id(db):
        raise JobsError(f"[spool] dir = {folder} does not carry the mark of this database "
                        f"({MARKER}): it is another folder, or its disk is not there. Nothing was "
                        "tried; if it is the right one, `jobs.py migrate` marks it")


def all_missing(db, folder: str) -> str | None:
    """Of several forwards that wait none has its file: then it is the names or the folder that is
    wrong, and no message may pay for it. A sentence, or None."""
    paths = list(dict.fromkeys(row["raw_path"] for row in db.query(
        "SELECT raw_path FROM {failed_emails} WHERE status IN ('pending', 'sending') "
        "LIMIT :most", most=LOOKED_AT)))
    if len(paths) < SEVERAL or any(is_there(folder, path) for path in paths):
        return None
    example = one_line(words(min(filter(None, paths), key=str)))[:80]
    return (f"none of the {len(paths):,} waiting messages looked at is in [spool] dir = {folder}, "
            f"such as {example}: that folder, or what [columns] "
            "failed_emails.raw_path makes of the app's names, is wrong. Nothing was tried or "
            "removed. Correct it, so that the two together are the path of the file; if the "
            "messages are lost, end their rows: `jobs.py cancel forwards ID ...`")


def is_there(folder: str, raw_path: str) -> bool:
    """Whether a row's file is there; also where that may not be looked at."""
    try:
        os.lstat(locate(folder, raw_path))
    except (SpoolError, FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def database_id(db) -> str:
    """What `migrate` named this database; "" before that."""
    return db.value("SELECT value FROM {meta} WHERE name = 'database_id'") or ""


def mark_folder(folder: str, owner: str, option: str = "[spool] dir", marker: str = MARKER) -> None:
    """Write down which database (its id) owns these files: only a folder with the database's own
    mark is ever swept.

    Makes the folder, private, if it is not there. JobsError, and nothing changed, when it carries
    the mark of another database, or is no folder for such files at all.
    """
    what = foreign(folder)
    if what:
        raise JobsError(f"{option} = {folder} holds {what}: give these files a folder of their "
                        "own, since those that nothing names any more are removed in time")
    path = os.path.join(private(folder), marker)
    try:
        marked = kept(path, lambda: owner)
        if marked != owner and not _holds_anything(folder):
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


def _holds_anything(folder: str) -> bool:
    """Whether anything lies there but hidden files of our own."""
    with os.scandir(folder) as entries:
        return any(not entry.name.startswith(".") for entry in entries)


def foreign(folder: str, **places: str) -> str | None:
    """What else lies in the folder, so that it is no folder for a spool: the program, a home, one
    of `places`."""
    places = {"this program": HOME, "a home folder": os.path.expanduser("~"), **places}
    folder = os.path.realpath(folder)
    for what, place in places.items():
        if os.path.commonpath([os.path.realpath(place), folder]) == folder:
            return what
    return None


def mark(folder: str, marker: str = MARKER) -> str | None:
    """The database id that the folder is marked with, if it is marked."""
    try:
        with open(os.path.join(folder, marker), encoding="utf-8") as file:
            return file.read(100).strip()
    except (OSError, ValueError):
        return None


def _parts(raw_path: str) -> list[str]:
    if not isinstance(raw_path, str):           # SQLite keeps octets where text belongs
        raise _bad_path(str(raw_path)[:80], "expected text")
    parts = raw_path.split("/")
    # An empty part begins "/etc"; a hidden one is our own mark, or "..".
    if "\\" in raw_path or "\0" in raw_path or any(not part or part.startswith(".")
                                                   for part in parts):
        raise _bad_path(repr(raw_path[:80]), "expected a path below the spool folder, without '..'")
    return parts


def _bad_path(path: str, error: str) -> SpoolError:
    from jobs_lib.ports.mail.reasons import BAD_PATH
    return SpoolError(BAD_PATH.text(path=path, error=error))


def _open(folder: str, parts: list[str]) -> int:
    """A handle of the folder below; SpoolError where a link is in the way."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        try:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                            dir_fd=handle)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise SpoolError(f"{part!r} is a link, which is never followed") from None
            raise
        finally:
            os.close(handle)
        handle = below
    return handle
