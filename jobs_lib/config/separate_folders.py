"""Folders that must not meet: what is in one is swept, rotated or replaced without a look at whose
it is."""
from __future__ import annotations

import os

from jobs_lib.errors import ConfigError
from jobs_lib.folders import HOME

FOLDERS = (("spool", "dir"), ("core", "state_dir"), ("core", "log_dir"), ("archive", "store"),
           ("export", "dir"))
PROGRAM = ("the program's folder", os.path.join(HOME, "jobs_lib"))


def misplaced(section_of, section: str, option: str, files=()) -> str | None:
    """Why the folder of this option cannot be used, in a sentence; None for a folder of its own,
    and for what is no folder of this host.

    `section_of("core")` has a section's values; `files`: (name, path) of what else must not be in
    it.
    """
    path = getattr(section_of(section), option)
    if not os.path.isabs(path):
        return None
    others = [PROGRAM, *files]
    for of, name in FOLDERS:
        if (of, name) != (section, option):
            try:
                others.append((f"[{of}] {name}", getattr(section_of(of), name)))
            except ConfigError:  # reported to the job that needs that section
                continue
    ours = os.path.realpath(path)
    for name, folder in others:
        other = os.path.realpath(folder)
        both = os.path.commonpath([ours, other])
        if os.path.isabs(folder) and both in (ours, other):
            how = "is" if ours == other else "is in" if both == other else "holds"
            return (f"[{section}] {option} = {path}: that {how} {name} ({folder}); give it a "
                    "folder of its own")
    return None
