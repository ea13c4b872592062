"""Folders that must not meet: what is in one is swept, rotated or replaced without a look at whose
it is."""
from __future__ import annotations

import os

from jobs_lib.errors import ConfigError
from jobs_lib.folders import shared

FOLDERS = (("spool", "dir"), ("core", "state_dir"), ("core", "log_dir"), ("archive", "store"),
           ("export", "dir"))
ADVICE = {"archive": "archives a folder of their own", "export": "exports a folder of their own",
          "spool": "the spool a folder of its own"}
DATABASE = "[core] database"        # what the file of an SQLite database is called in `files`


def misplaced(section_of, section: str, option: str, files=()) -> str | None:
    """Why the folder of this option cannot be used, in a sentence; None for a folder of its own,
    and for what is no folder of this host.

    `section_of("core")` has a section's values; `files`: (name, path) of what else must not be in
    it.
    """
    paths = {}
    for pair in FOLDERS:
        try:                                # noqa: SIM105  contextlib is not loaded otherwise
            paths[pair] = getattr(section_of(pair[0]), pair[1])
        except ConfigError:                 # reported to the job that needs that section
            pass
    local = {pair: path for pair, path in paths.items() if path and "://" not in path}
    path = local.pop((section, option), None)
    wrong = path and shared(path, [(f"[{of}] {name}", other)
                                   for (of, name), other in local.items()]
                           + [(name, file) for name, file in files if os.path.isabs(file)])
    return wrong and f"[{section}] {option} = {path}: {wrong}; give {ADVICE[section]}"
