"""Archives in a folder: private files, on the disk for good before anybody relies on them."""
from __future__ import annotations

import errno
import os
from contextlib import suppress

from jobs_lib.folders import HTACCESS, private
from jobs_lib.folders import write as write_whole

from .base import BLOCK, PARTIAL, ArchiveError

NO_ROOM = "make room there, or name another folder"
NOT_OURS = "give this user the right to write there, or name another folder"
A_FILE = "a part of this path is a file: name a folder, or one that can be made"
ADVICE = {
    errno.ENOSPC: NO_ROOM, errno.EDQUOT: NO_ROOM, errno.EFBIG: NO_ROOM,
    errno.EACCES: NOT_OURS, errno.EPERM: NOT_OURS, errno.EROFS: NOT_OURS,
    errno.EEXIST: A_FILE, errno.ENOTDIR: A_FILE,
    errno.EISDIR: "a folder stands where a file should be: move it away",
    errno.ENOENT: "it is not there, and cannot be made there: name another folder",
}


class FolderStore:
    """A folder, made 0700 where `make` allows it. One that has gone missing is not made anew: a
    disk that is not mounted looks like that."""

    def __init__(self, folder: str, make: bool = False) -> None:
        self.place = folder
        try:
            if os.path.lexists(folder) and not os.path.isdir(folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
            if make:
                private(folder)
            if not os.path.isdir(folder):
                raise ArchiveError(f"[archive] store: there is no folder {folder}, and archives "
                                   "should be in it: see whether its disk is mounted")
        except OSError as error:
            raise self._trouble(error) from None

    def location(self, name: str) -> str:
        """The file's path."""
        return os.path.join(self.place, name)

    def put(self, name: str, blocks) -> None:
        """Write a new file, mode 0600; a name that is taken is an error."""
        path = self.location(name)
        try:
            self._refuse_web()
            with suppress(FileNotFoundError):
                os.unlink(path + PARTIAL)
            handle = os.open(path + PARTIAL, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                             | os.O_CLOEXEC, 0o600)
            with open(handle, "wb", buffering=0) as file:
                _write(file, blocks)
                os.fsync(file.fileno())
            _name(path + PARTIAL, path)
            _sync(self.place)
        except OSError as error:
            raise self._trouble(error) from None

    def read(self, name: str):
        """The file's bytes."""
        try:
            with open(os.open(self.location(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC),
                      "rb") as file:
                while block := file.read(BLOCK):
                    yield block
        except FileNotFoundError:
            raise ArchiveError(f"{name} is not in {self.place}") from None
        except OSError as error:
            raise self._trouble(error) from None

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        return os.path.isfile(self.location(name))

    def remove(self, name: str) -> None:
        """Remove the file in both its names."""
        for path in (self.location(name) + PARTIAL, self.location(name)):
            try:
                with suppress(FileNotFoundError):
                    os.unlink(path)
            except OSError as error:
                raise self._trouble(error) from None

    def close(self) -> None:
        """Nothing is open."""

    def _refuse_web(self) -> None:
        """Also a folder that somebody else has made."""
        path = os.path.join(self.place, ".htaccess")
        if not os.path.lexists(path):
            write_whole(path, HTACCESS)

    def _trouble(self, error: OSError) -> ArchiveError:
        where = f" ({error.filename})" if error.filename and error.filename != self.place else ""
        advice = ADVICE.get(error.errno or 0, "see what is wrong with that folder or its disk")
        return ArchiveError(f"[archive] store {self.place}: {error.strerror or error}{where}: "
                            f"{advice}")


def _write(file, blocks) -> None:
    for block in blocks:
        view = memoryview(block)
        while view:
            # an unbuffered write may take less than it was given
            view = view[file.write(view):]


def _name(partial: str, path: str) -> None:
    if os.path.lexists(path):                   # names are random: this is somebody else's file
        raise ArchiveError(f"[archive] store {os.path.dirname(path)}: {os.path.basename(path)} is "
                           "there already, and nobody's file is overwritten: the next run takes "
                           "another name")
    os.rename(partial, path)


def _sync(folder: str) -> None:
    """Make the new name last; a file system that cannot do that for folders has done what it
    can."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
