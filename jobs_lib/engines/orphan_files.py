"""Removing the spool files that no row names: a kill between a commit and an unlink leaves such
files behind.

Here a mistake would delete people's mail, so each of these must hold, and each has its test:

- the folder carries the id of this very database (`.jobs-spool`, written by `migrate`), and nothing
  else is in it
- the file is a regular one, by a plain name below the folder; hidden files and links are left alone
- a row names another file that is there, of the same folder and the same ending (`Kind`): whatever
  else lies there is no mail, and where no row names any file, the rows are wrong
- no row of any table names it, in whatever spelling, in two sweeps at least an hour apart, and at
  the unlink
- its mtime and its ctime are over an hour old
- not more than 100 files and a fifth of the folder have no row: for so many, the database is wrong,
  not the files

Names are looked up in groups and suspects kept in a table, so a million files cost little memory
and few queries. A sweep is made once an hour at most, whichever job or host asks for it.
"""
from __future__ import annotations

import os
import re
import stat
from datetime import timedelta
from hashlib import sha256

from jobs_lib import clock
from jobs_lib.chunks import chunked
from jobs_lib.database import stored
from jobs_lib.errors import Busy, Duplicate
from jobs_lib.text import counted

from . import spool
from .safety_stop import refuse, unconfirmed, would_stop

APART = timedelta(hours=1)           # between two sweeps, and since the file was last touched
MOST_FILES, MOST_SHARE = 100, 0.2
GROUP = 200                          # files looked up together, in three spellings each: 600 names
NEW_SUSPECTS = 10_000                # noted in one sweep; the rest is found by the next
# a folder that is named by a hash, and a number anywhere
NUMBERED = re.compile("(?<![^/])(?=[^/]{1,2}/|[^/]*[0-9])[0-9a-fA-F-]+(?=/)|[0-9]+")
MOST_KINDS = 10_000                  # told apart in one sweep
SAMPLE = 3                           # names of files that are shown
LEFT_ALONE = "no row names one with this ending in the same folder"
LONGEST = 500                        # characters of a `raw_path`
SWEPT = "spool_swept_at"             # in the table `meta`: when, or STOPPED
STOPPED = "stopped"


def sweep(ctx) -> None:
    """Note the files that no row names and remove those noted before; count them as `orphans`.

    SafetyStop when there are too many; `--yes` confirms them once that was reported.
    """
    folder = ctx.section("spool").dir
    refused = _refused(ctx, folder)
    if refused:
        ctx.log.warning("sweep left out", folder=folder, reason=refused)
        return
    before = _claim(ctx)
    if before is None:
        return
    work = Sweep(ctx, folder)
    try:
        if work.look(note=True):
            if wrong := work.unnamed and spool.all_missing(ctx.db, folder):
                ctx.log.warning("sweep left out", folder=folder, reason=wrong)
                return
            reason = work.unconfirmed(reported=before == STOPPED)
            if reason:
                # looked at again by the next run, and confirmed by --yes alone
                _set(ctx.db, STOPPED)
                refuse(ctx, reason)
            work.remove()
    except Busy as error:
        ctx.stop_busy(error)
    ctx.log.event("sweep", folder=folder, files=work.files, unnamed=work.unnamed,
                  left_alone=work.left_alone, orphans=work.removed,
                  reason=ctx.stop_reason or "done")


def preview(ctx) -> None:
    """For a dry run: say what a sweep finds now."""
    folder = ctx.section("spool").dir
    refused = _refused(ctx, folder)
    if refused:
        ctx.show("remove files that no row names", [], f"left out: {refused}")
        return
    work = Sweep(ctx, folder)
    complete = work.look(note=False)
    stops = ((work.unnamed and spool.all_missing(ctx.db, folder))
             or would_stop(work.unconfirmed() if complete else None))
    if work.left_alone:
        ctx.show(f"leave alone {counted(work.left_alone, 'file')} in {folder}: {LEFT_ALONE}", [],
                 "" if work.swept() else stops)
    if complete and not work.unnamed:
        return
    ctx.counts["unnamed"] = work.unnamed
    ctx.show(f"remove files that no row names: {work.unnamed:,} of {work.files:,} in {folder}", [],
             stops or "each is removed when two runs, an hour or more apart, have found it so")


def unnamed(ctx) -> tuple[int, list[str]]:
    """For `adopt`: how many files no row names just now, and some of their names; none where none
    would be removed."""
    folder = ctx.section("spool").dir
    if _refused(ctx, folder):
        return 0, []
    work = Sweep(ctx, folder)
    work.look(note=False)
    return work.unnamed, [path for kind in work.swept() for path in kind.sample][:SAMPLE]


class Kind:
    """The files of one folder with one ending, where all numbers are the same: `2026/11/24/k3.eml`
    and `2025/1/5/x.eml` are of one kind, and so are `a3/f1/k3.eml` and `07/bc/x.eml`.

    is_named  a row names one of them, so that the others are mail that has lost its rows
    """

    __slots__ = ("is_named", "sample", "total", "unnamed")

    def __init__(self) -> None:
        self.is_named, self.total, self.unnamed = False, 0, 0
        self.sample: list[str] = []


def kind_of(path: str) -> str:
    """Its folder and its ending."""
    folder, name = os.path.split(path)
    return NUMBERED.sub("0", f"{folder}/*{os.path.splitext(name)[1]}")


class Sweep:
    """One look at the folder, and one removal of what it and an earlier look agree on."""

    def __init__(self, ctx, folder: str) -> None:
        self.ctx, self.db, self.folder = ctx, ctx.db, folder
        self.real = os.path.realpath(folder)
        self.before = (ctx.clock() - APART).timestamp()
        self.kinds: dict[str, Kind] = {}
        self.files, self.new, self.removed = 0, 0, 0

    def swept(self) -> list[Kind]:
        """Those from which files may be removed."""
        return [kind for kind in self.kinds.values() if kind.is_named]

    @property
    def unnamed(self) -> int:
        """How many files would be removed."""
        return sum(kind.unnamed for kind in self.swept())

    @property
    def left_alone(self) -> int:
        """How many files no row names, nor any of their kind."""
        return sum(kind.unnamed for kind in self.kinds.values() if not kind.is_named)

    def look(self, note: bool) -> bool:
        """Count the files and those that no row names, and note these. Whether the whole folder was
        looked at."""
        for group in chunked(files(self.folder), GROUP):
            if self.ctx.should_stop():
                return False
            self.files += len(group)
            self.ctx.progress(self.files)
            for path, _ in group:
                if kind := self._kind(path):
                    kind.total += 1
            self._judge([path for path, status in group
                         if self._is_old(status) and _is_plain(path)], note)
        if note:                             # what was not seen again is named now, or deleted
            self.db.execute("DELETE FROM {spool_suspects} WHERE last_seen_at <> :now",
                            now=self.ctx.now)
        return True

    def unconfirmed(self, reported: bool = True) -> str | None:
        """Why this many files must not be removed: the database is wrong, not the files."""
        if not self.swept() and self.left_alone > MOST_FILES:
            return (f"no row names any of the {self.left_alone:,} files in {self.folder}, which "
                    "looks like a wrong or an empty database, or a wrong name of the files. "
                    "Nothing was deleted. Check [core] database, [spool] dir and what [columns] "
                    "says of raw_path; if nobody needs these files, delete them by hand")
        return unconfirmed(
            self.ctx, f"files in {self.folder}", self.unnamed,
            sum(kind.total for kind in self.swept()),
            why="no row names them, which looks like a wrong or an empty database",
            fix="check [core] database and [spool] dir", how=", an hour from now or later",
            most=MOST_FILES, share=MOST_SHARE, reported=reported)

    def remove(self) -> None:
        """Remove what was found unnamed now and an hour ago or earlier, looking once more."""
        for rows in self.db.pages(
                "SELECT path_hash, path FROM {spool_suspects} WHERE last_seen_at = :now"
                " AND first_seen_at <= :ago",
                key="path_hash", size=GROUP, now=self.ctx.now, ago=self.ctx.now - APART):
            if self.ctx.should_stop() or not _is_ours(self.db, self.folder):
                return
            mail = [row for row in rows if (kind := self._kind(row["path"])) and kind.is_named]
            for path in self._unnamed([row["path"] for row in mail]):
                self._remove_file(path)
            self.db.execute("DELETE FROM {spool_suspects} WHERE path_hash IN (:some)",
                            some=[row["path_hash"] for row in mail])

    def _remove_file(self, path: str) -> None:
        try:
            if not self._is_old(os.lstat(spool.locate(self.folder, path))):
                return
            freed = spool.remove(self.folder, path)
        except (spool.SpoolError, FileNotFoundError):
            return
        except OSError as error:
            self.ctx.log.warning("file not removed", path=path, error=error.strerror)
            return
        if freed is not None:
            self.removed += 1
            self.ctx.count("orphans")
            self.ctx.count("bytes_freed", freed)

    def _judge(self, group: list[str], note: bool) -> None:
        unnamed = self._unnamed(group)
        for path in group:
            if not (kind := self._kind(path)):
                continue
            if path not in unnamed:
                kind.is_named = True
                continue
            kind.unnamed += 1
            if len(kind.sample) < SAMPLE:
                kind.sample.append(path)
        if unnamed and note:
            self.db.batch(lambda: self._note(unnamed))

    def _kind(self, path: str) -> Kind | None:
        """None for one of more kinds than are told apart: it is left alone."""
        name = kind_of(path)
        if name not in self.kinds and len(self.kinds) < MOST_KINDS:
            self.kinds[name] = Kind()
        return self.kinds.get(name)

    def _note(self, paths: list[str]) -> None:
        hashes = {self._hash(path): path for path in paths}
        known = {row["path_hash"] for row in self.db.query(
            "SELECT path_hash FROM {spool_suspects} WHERE path_hash IN (:some)", some=list(hashes))}
        if known:
            # first seen in the future is first seen under a wrong clock: from now on it counts
            self.db.execute("UPDATE {spool_suspects} SET last_seen_at = :now, first_seen_at = "
                            "CASE WHEN first_seen_at > :now THEN :now ELSE first_seen_at END "
                            "WHERE path_hash IN (:some)", now=self.ctx.now, some=list(known))
        for number, path in hashes.items():
            if number not in known and self.new < NEW_SUSPECTS:
                self.new += 1
                self.db.insert("spool_suspects", path_hash=number, path=path,
                               first_seen_at=self.ctx.now, last_seen_at=self.ctx.now)

    def _unnamed(self, paths: list[str]) -> list[str]:
        """Those that no row names, not even in a spelling that we would refuse to follow."""
        spellings = {spelling: path for path in paths
                     for spelling in (path, f"./{path}", os.path.join(self.folder, path))}
        named = {spellings[found] for found in spool.named(self.db, spellings)}
        return [path for path in paths if path not in named]

    def _is_old(self, status) -> bool:
        return (stat.S_ISREG(status.st_mode) and status.st_mtime < self.before and status.st_ctime
                < self.before)

    def _hash(self, path: str) -> str:
        return sha256(f"{self.real}\0{path}".encode("utf-8", "surrogateescape")).hexdigest()


def files(folder: str):
    """(path below the folder, lstat) of each regular file; hidden ones and links are passed
    over."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            entries = os.scandir(os.path.join(folder, below))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue                         # deleted meanwhile, or not ours to look into
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = below + entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path + "/")
                    elif entry.is_file(follow_symlinks=False):
                        yield path, entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue


def _is_plain(path: str) -> bool:
    """Whether a `raw_path` can be this name on every engine; a file that no row could name is not
    ours."""
    return path.isascii() and path.isprintable() and "\\" not in path and len(path) <= LONGEST


def _refused(ctx, folder: str) -> str | None:
    """Why this folder must not be swept."""
    if not _is_ours(ctx.db, folder):
        return "the folder does not carry the mark of this database (.jobs-spool)"
    core = ctx.section("core")
    what = spool.foreign(folder, **{"[core] state_dir": core.state_dir,
                                    "[core] log_dir": core.log_dir})
    return f"it holds {what} too" if what else None


def _is_ours(db, folder: str) -> bool:
    owner = spool.mark(folder)
    return bool(owner) and owner == spool.database_id(db)


def _claim(ctx) -> str | None:
    """What stood there before, if this sweep is ours to make, else None."""
    before = ctx.db.value("SELECT value FROM {meta} WHERE name = :name", name=SWEPT)
    now = clock.text(ctx.now)
    if before is None:
        try:
            ctx.db.insert("meta", name=SWEPT, value=now)
        except Duplicate:
            return None
        return ""
    if before != STOPPED and clock.text(ctx.now - APART) < (stored.words(before) or "") <= now:
        return None
    claimed = ctx.db.execute("UPDATE {meta} SET value = :now WHERE name = :name "
                             "AND value = :before",
                             now=now, name=SWEPT, before=before)
    return before if claimed else None


def _set(db, value: str) -> None:
    db.execute("UPDATE {meta} SET value = :value WHERE name = :name", value=value, name=SWEPT)
