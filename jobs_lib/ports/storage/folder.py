"""Archives in a folder: private files, on the disk for good before anybody relies on them."""
from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress

from jobs_lib.folders import HTACCESS, new_file, private, publish
from jobs_lib.folders import write as write_whole

from .base import BLOCK, PARTIAL, ArchiveError, Store

NO_ROOM = "make room there, or name another folder"
NOT_OURS = "give this user the right to write there, or name another folder"
A_FILE = "a part of this path is a file: name a folder, or one that can be made"
ADVICE = {
    errno.ENOSPC: NO_ROOM, errno.EDQUOT: NO_ROOM, errno.EFBIG: NO_ROOM,
    errno.EACCES: NOT_OURS, errno.EPERM: NOT_OURS, errno.EROFS: NOT_OURS,
    errno.EEXIST: A_FILE, errno.ENOTDIR: A_FILE,
    errno.EISDIR: "a folder is where a file should be: move it away",
    errno.ENOENT: "it is not there, and cannot be made there: name another folder",
}


class FolderStore(Store):
    """A folder, made 0700 where `make` allows it. One that is missing later is not made again: a
    disk that is not mounted looks like that."""

    def __init__(self, folder: str, make: bool = False) -> None:
        self.place = folder
        with self._advised():
            if os.path.lexists(folder) and not os.path.isdir(folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
            if make:
                private(folder)
            if not os.path.isdir(folder):
                raise ArchiveError(f"[archive] store: there is no folder {folder}, and archives "
                                   "should be in it: see whether its disk is mounted")

    def put(self, name: str, blocks) -> None:
        """Write a new file, mode 0600; a name that is taken is an error."""
        path = self.location(name)
        draft = path + PARTIAL
        with self._advised():
            self._refuse_web()
            with suppress(FileNotFoundError):
                os.unlink(draft)
            with new_file(draft) as file:
                file.writelines(blocks)
                file.flush()
                os.fsync(file.fileno())
            if os.path.lexists(path):           # names are random: this is somebody else's file
                raise ArchiveError(f"[archive] store {self.place}: {name} is there already, and "
                                   "nobody's file is overwritten: the next run takes another name")
            publish(draft, path)

    def read(self, name: str):
        """The bytes of the file, in chunks."""
        with self._advised():
            try:
                handle = os.open(self.location(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                raise ArchiveError(f"{name} is not in {self.place}") from None
            with open(handle, "rb") as file:
                while block := file.read(BLOCK):
                    yield block

    def has(self, name: str) -> bool:
        """Whether the store has this file."""
        return os.path.isfile(self.location(name))

    def remove(self, name: str) -> None:
        """Delete the file in both its names."""
        for path in (self.location(name) + PARTIAL, self.location(name)):
            with self._advised(), suppress(FileNotFoundError):
                os.unlink(path)

    def _refuse_web(self) -> None:
        """Also in a folder that somebody else has made."""
        path = os.path.join(self.place, ".htaccess")
        if not os.path.lexists(path):
            write_whole(path, HTACCESS)

    @contextmanager
    def _advised(self):
        """What the system refuses becomes an ArchiveError that says what to do."""
        try:
            yield
        except OSError as error:
            named = error.filename and error.filename != self.place
            where = f" ({error.filename})" if named else ""
            advice = ADVICE.get(error.errno or 0, "see what is wrong with that folder or its disk")
            raise ArchiveError(f"[archive] store {self.place}: {error.strerror or error}{where}: "
                               f"{advice}") from None
