"""`state_dir/deletions.jsonl`: which accounts are gone for good, kept where no database backup reaches.

A backup that is put back brings deleted accounts with it; `--set reapply=yes` deletes them again by this file. It
names a user by id, and by when the account was made: ids may be given again, such an account is another one.
"""
from __future__ import annotations

import json
import os

from .. import clock
from ..folders import private

NAME = "deletions.jsonl"
TAIL = 256 * 1024                # octets: some 1,500 deletions


def append(state_dir: str, entry: dict) -> None:
    """Add a line, safe on the disk when this returns. The file is 0600."""
    path = os.path.join(private(state_dir), NAME)
    line = json.dumps(entry, sort_keys=True) + "\n"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        end = os.lseek(handle, 0, os.SEEK_END)
        if end and os.pread(handle, 1, end - 1) != b"\n":
            line = "\n" + line           # a power cut left half a line
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def entries(state_dir: str, tail: int | None = None):
    """Each entry, oldest first, or those in the last `tail` octets; what is no entry is passed over.

    `user_id`, `user_ref`, `created_at` of the account, `deleted_at`, `completed_at`.
    """
    try:
        with open(os.path.join(state_dir, NAME), "rb") as file:
            if tail is not None and file.seek(0, os.SEEK_END) > tail:
                file.seek(-tail, os.SEEK_END)
                file.readline()
            elif tail is not None:
                file.seek(0)
            for line in file:
                entry = _entry(line)
                if entry:
                    yield entry
    except FileNotFoundError:
        return


def _entry(line: bytes) -> dict | None:
    try:
        entry = json.loads(line)
        clock.parse(entry["completed_at"])
        return entry if type(entry["user_id"]) is int and entry["created_at"] else None
    except (ValueError, KeyError, TypeError):
        return None


def recent(state_dir: str, since) -> list[int]:
    """The ids of users that were gone for good since then."""
    return sorted({entry["user_id"] for entry in entries(state_dir, TAIL)
                   if clock.parse(entry["completed_at"]) >= since})
