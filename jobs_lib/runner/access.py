"""Whether this user can use the files that the jobs need, also where no run has met them yet:
`status`, `check_jobs`, `doctor` and `test` ask. Nothing is written."""
from __future__ import annotations

import os

from jobs_lib.errors import ConfigError
from jobs_lib.folders import owner_words

FOLDERS = (("core", "state_dir"), ("core", "log_dir"), ("spool", "dir"), ("export", "dir"))


def unusable(config) -> list[str]:
    """A sentence for each folder of which something cannot be used: the first thing, why, and how
    to fix it."""
    found = []
    for section, option in FOLDERS:
        try:
            folder = getattr(config.section(section), option)
        except ConfigError:  # reported elsewhere
            continue
        for path in _paths(folder, is_ours=section == "core"):
            needed = os.R_OK | os.W_OK | (os.X_OK if os.path.isdir(path) else 0)
            if not os.access(path, needed) and os.path.lexists(path):
                found.append(f"[{section}] {option}: {path} cannot be used: {owner_words(path)}")
                break
    return found


def _paths(folder: str, is_ours: bool):
    """The folder, and where the jobs write all that is in it, its files, too."""
    yield folder
    for path, folders, files in os.walk(folder) if is_ours else ():
        yield from [os.path.join(path, name) for name in sorted([*folders, *files])]
