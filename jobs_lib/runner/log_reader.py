"""Reads a log of runner/log.py: its last lines, the rotated files included, and what follows.

    reader = Reader(path, files=5)
    reader.last(20)          the last lines, oldest first
    reader.more()            what was written since; across a rotation nothing is left out

A line is bytes without its end; one that is still being written comes when it is whole.
"""
from __future__ import annotations

import os

BLOCK = 64 * 1024
MOST = 8 * 1024 * 1024          # bytes that are read of one file for its last lines


class Reader:
    """`files`: how many rotated ones there may be, `path.1` the newest."""

    def __init__(self, path: str, files: int) -> None:
        self.path, self._files = path, files
        self._file = None           # of which more is read, and what is not a whole line yet
        self._rest = b""

    def last(self, number: int) -> list[bytes]:
        """The last lines, at most so many; what is written afterwards is `more`."""
        self._file, self._rest = _opened(self.path), b""
        found: list[bytes] = []
        if self._file:
            found, self._rest = _tail(self._file, number)
        for age in range(1, self._files + 1):
            if len(found) >= number:
                break
            older = _opened(f"{self.path}.{age}")
            if older is None:
                break
            with older:
                lines, rest = _tail(older, number - len(found))
            found = [*lines, *([rest] if rest else []), *found]
        return found[-number:]

    def more(self) -> list[bytes]:
        """The lines that were written since the last call."""
        found: list[bytes] = []
        if self._file is not None and not _is(self._file, self.path):
            found += self._new()
            # it was rotated, perhaps more than once: those between are whole
            for path in self._between():
                with self._file:
                    self._file = _opened(path)
                if self._file is None:
                    break
                found += self._new()
            if self._file:
                self._file.close()
            self._file = None
        if self._file is None:
            self._file = _opened(self.path)
        return found + self._new() if self._file else found

    def _between(self) -> list[str]:
        """The files that came after ours, oldest first, without the one at the path."""
        names = [f"{self.path}.{age}" for age in range(1, self._files + 1)]
        for age, name in enumerate(names):
            if _is(self._file, name):
                return names[:age][::-1]
        return []                           # it was deleted

    def _new(self) -> list[bytes]:
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)              # somebody has emptied it
            self._rest = b""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return lines


def _opened(path: str):
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _is(file, path: str) -> bool:
    """Whether the open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _tail(file, number: int) -> tuple[list[bytes], bytes]:
    """(the last whole lines, what follows them); the file is then read to its end."""
    end = file.seek(0, os.SEEK_END)
    start, text = end, b""
    while start and text.count(b"\n") <= number and end - start < MOST:
        start = max(0, start - BLOCK)
        file.seek(start)
        text = file.read(end - start)
    file.seek(end)
    lines = text.split(b"\n")
    rest = lines.pop()
    return lines[1 if start else 0:][-number:], rest
