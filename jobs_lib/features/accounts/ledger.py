"""`state_dir/deletions.jsonl`: which accounts are erased, kept where no database backup reaches.

A backup that is put back brings deleted accounts with it; docs/deletion.md has the UPDATE that
deletes them again by this file. It names the database, and a user by id and by when the account was
made: ids may be given again, such an account is another one.
"""
from __future__ import annotations

import os

from jobs_lib.engines.spool import database_id
from jobs_lib.errors import JobsError
from jobs_lib.folders import open_own, private

NAME = "deletions.jsonl"


def append(ctx, entry: dict) -> None:
    """Add a line, safe on the disk when this returns. The file is 0600. JobsError where that cannot
    be."""
    import json  # most runs find no deleted account
    path = os.path.join(ctx.section("core").state_dir, NAME)
    line = json.dumps({**entry, "database": database_id(ctx.db)}, sort_keys=True) + "\n"
    try:
        private(os.path.dirname(path))
        with os.fdopen(open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab") as file:
            end = file.tell()
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                line = "\n" + line          # a power cut left half a line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JobsError(f"{path}: {error.strerror}: no account is deleted for good before that is "
                        "written down there") from None
