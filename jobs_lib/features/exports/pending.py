"""Whether a run has any request or file to look at: most runs have none, and load nothing that
works on them."""
from __future__ import annotations

import os

from jobs_lib.config.separate_folders import misplaced
from jobs_lib.engines.idle import is_idle


def is_anything_pending(ctx) -> bool:
    """Whether any request is not over, or a file is there that none may need; or the folder is one
    that a run refuses."""
    return (not is_idle(ctx, "export_requests", ("expired", "failed"))
            or _has_files(ctx.section("export").dir)
            or misplaced(ctx.section, "export", "dir") is not None)


def _has_files(folder: str) -> bool:
    try:
        return any(not name.startswith(".") for name in os.listdir(folder))
    except OSError:                         # not there yet
        return False
