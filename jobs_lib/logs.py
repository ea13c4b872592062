"""The log: one file of JSON lines a job, a line an event.

Written by our own few lines, since importing `logging` costs as much as starting Python. A line is one
`write` to a file opened for appending, so lines of several processes never mix. A log that cannot be
written never stops a job: its lines go to stderr, once said why.
"""
from __future__ import annotations

import fcntl
import json
import os
import sys

from . import clock

MODE = 0o600


class Log:
    """Events of one job's run. `fields` are on every line (job, run_id)."""

    def __init__(self, folder: str, name: str, *, size: int, files: int, now=clock.now, **fields) -> None:
        self.path, self._size, self._files = os.path.join(folder, name + ".log"), size, files
        self._now, self._fields, self._file, self._broken = now, fields, -1, False

    def event(self, event: str, level: str = "info", **fields) -> None:
        """Write one line: `{"time", "level", "event", "job", "run_id", ...}`."""
        line = json.dumps({"time": clock.text(self._now()), "level": level, "event": event,
                           **self._fields, **fields}, ensure_ascii=False, default=str) + "\n"
        data = line.encode("utf-8", "backslashreplace")
        try:
            self._open()
            os.write(self._file, data)
        except OSError as error:
            if not self._broken:
                print(f"the log {self.path} cannot be written ({error.strerror}): its lines follow here",
                      file=sys.stderr)
                self._broken = True
            sys.stderr.write(data.decode())

    def warning(self, event: str, **fields) -> None:
        """An event that the operator should see."""
        self.event(event, "warning", **fields)

    def error(self, event: str, **fields) -> None:
        """An event that went wrong."""
        self.event(event, "error", **fields)

    def close(self) -> None:
        """Close the file; the next event opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        """Open the file at its path, anew when another process has rotated it, and rotate a full one."""
        if self._file >= 0:
            mine = os.fstat(self._file)
            try:
                there = os.stat(self.path)
                if (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev) and mine.st_size < self._size:
                    return
            except FileNotFoundError:
                pass
            self.close()
        if os.path.exists(self.path) and os.path.getsize(self.path) >= self._size:
            self._rotate()
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)

    def _rotate(self) -> None:
        lock = os.open(os.path.join(os.path.dirname(self.path), ".rotate.lock"),
                       os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(self.path) and os.path.getsize(self.path) >= self._size:   # not done by another
                for number in range(self._files - 1, 0, -1):
                    older = f"{self.path}.{number}"
                    if os.path.exists(older):
                        os.replace(older, f"{self.path}.{number + 1}")
                os.replace(self.path, f"{self.path}.1")
        finally:
            os.close(lock)
