"""Archives in a folder: private files, on the disk for good before anybody relies on them."""
from __future__ import annotations

import os
from contextlib import contextmanager, suppress

from jobs_lib.folders import HTACCESS, new_file, private, publish, write

from .store import PARTIAL, ArchiveError, Store


class FolderStore(Store):
    """A folder, made 0700 where `make` allows it. One that is missing later is not made again: a
    disk that is not mounted looks like that."""

    def __init__(self, folder: str, make: bool = False) -> None:
        self.place = folder
        with self._named():
            if make:
                private(folder)
            if not os.path.isdir(folder):
                raise ArchiveError(f"[archive] store: there is no folder {folder}, and archives "
                                   "should be in it: see whether its disk is mounted")

    def put(self, name: str, data: bytes) -> None:
        """Write a new file, mode 0600."""
        path, htaccess = self.location(name), self.location(".htaccess")
        with self._named():
            if not os.path.lexists(htaccess):       # also in a folder that somebody else has made
                write(htaccess, HTACCESS)
            with new_file(path + PARTIAL) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            publish(path + PARTIAL, path)

    def read(self, name: str) -> bytes:
        """The bytes of the file."""
        with self._named(), open(self.location(name), "rb") as file:
            return file.read()

    def has(self, name: str) -> bool:
        """Whether the store has this file."""
        return os.path.isfile(self.location(name))

    def remove(self, name: str) -> None:
        """Delete the file in both its names."""
        for path in (self.location(name) + PARTIAL, self.location(name)):
            with self._named(), suppress(FileNotFoundError):
                os.unlink(path)

    @contextmanager
    def _named(self):
        """What the system refuses becomes an ArchiveError that names the store."""
        try:
            yield
        except OSError as error:
            raise ArchiveError(f"[archive] store {self.place}: {error}") from None
