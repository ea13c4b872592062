"""Where archives are kept: a folder, or a server that speaks FTP over TLS (ftps.py).

A store has

    place             where it is, in words and without a login
    put(name, data)   write a file under a temporary name, made durable, then rename it
    read(name)        its bytes
    remove(name)      delete it, and what a dead run left of it; whether anything was there

All that fails is an ArchiveError, one sentence that names the place. Names are ours: letters,
digits, dots and dashes, and none is used twice.
"""
from __future__ import annotations

import os
from contextlib import contextmanager

from jobs_lib.errors import JobsError
from jobs_lib.folders import DRAFT, private, refuse_web, write


class ArchiveError(JobsError):
    """The store refused, broke off, or does not hold what it should."""


def place_of(section) -> str:
    """Where the store is, without a login; nothing is opened."""
    if "://" not in section.store:
        return section.store
    from urllib.parse import urlsplit
    parts = urlsplit(section.store)
    return f"ftps://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


class FolderStore:
    """A folder of private files, which are on the disk for good before anybody relies on them. It
    is made 0700 where `make` allows it."""

    def __init__(self, folder: str, make: bool = False) -> None:
        self.place = folder
        with self._named():
            if make:
                private(folder)
            if not os.path.isdir(folder):
                raise ArchiveError(f"[archive] store: there is no folder {folder}, and archives "
                                   "should be in it: check that its disk is mounted")

    def put(self, name: str, data: bytes) -> None:
        """Write a new file, mode 0600."""
        with self._named():
            refuse_web(self.place)
            write(self._path(name), data)

    def read(self, name: str) -> bytes:
        """The bytes of the file."""
        with self._named(), open(self._path(name), "rb") as file:
            return file.read()

    def remove(self, name: str) -> bool:
        """Delete the file, and drafts of it."""
        with self._named():
            found = [each for each in os.listdir(self.place) if each == name
                     or (each.startswith(f"{name}.") and each.endswith(DRAFT))]
            for each in found:
                os.unlink(self._path(each))
        return bool(found)

    def _path(self, name: str) -> str:
        return f"{self.place}/{name}"

    @contextmanager
    def _named(self):
        """What the system refuses becomes an ArchiveError that names the store."""
        try:
            yield
        except OSError as error:
            raise ArchiveError(f"[archive] store {self.place}: {error}") from None
