"""Whether a run whose row says `running` lives: asked without a write, by commands that only look.

The next run of its job sweeps it (runner/history.py); until then `status`, `list`, `history` and
the page call it `vanished?`.
"""
from __future__ import annotations

import os

from jobs_lib.database import stored
from jobs_lib.errors import ConfigError, JobsError

from . import history, locks

VANISHED = "vanished?"


def shown(rows: list[dict], config, now, db) -> list[dict]:
    """The same rows of `job_runs`, those of dead processes with another status."""
    return [_shown(row, config, now, db) if row["status"] == "running" else row for row in rows]


def _shown(row: dict, config, now, db) -> dict:
    if not history.is_over(row, now):
        if not is_gone(row, config):
            return row
        # Its lock is free by now: it may have ended well since its row was read.
        found = db.row(f"SELECT {', '.join(row)} FROM {{job_runs}} WHERE run_id = :run_id",
                       run_id=row["run_id"])
        row = stored.run(found) if found else row
    return {**row, "status": VANISHED} if row["status"] == "running" else row


def is_gone(row: dict, config) -> bool:
    """Whether its process has surely ended: it was of this installation, and its lock is free.

    A lock in the database is not asked for: of those only a process of this host is judged, that is
    there no more.
    """
    try:
        core = config.section("core")
        with open(os.path.join(core.state_dir, "installation"), encoding="utf-8") as file:
            if file.read().strip() != row["installation"]:
                return False
        if str(row["lock_name"]).startswith(locks.FILE):
            return locks.FileLock(core.state_dir, str(row["lock_name"])[len(locks.FILE):]).is_free()
    except (ConfigError, JobsError, OSError, ValueError):     # not known
        return False
    return row["host"] == history.host() and not is_there(row["pid"])


def is_there(pid) -> bool:
    """Whether there is such a process on this host."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError, OverflowError):
        return False
    except OSError:                         # another user's
        return True
    return True
