"""Folders that must not meet: what is in one is swept, rotated or replaced without a look at whose
it is."""
from __future__ import annotations

from jobs_lib.folders import shared

FOLDERS = (("spool", "dir"), ("core", "state_dir"), ("core", "log_dir"), ("archive", "store"),
           ("export", "dir"))
ADVICE = {"archive": "archives a folder of their own", "export": "exports a folder of their own",
          "spool": "the spool a folder of its own"}


def misplaced(section_of, section: str, option: str) -> str | None:
    """Why the folder of this option cannot be used, in a sentence; None for a folder of its own,
    and for what is no folder of this host.

    `section_of("core")` has a section's values.
    """
    paths = {pair: getattr(section_of(pair[0]), pair[1]) for pair in FOLDERS}
    local = {pair: path for pair, path in paths.items() if path and "://" not in path}
    path = local.pop((section, option), None)
    wrong = path and shared(path, [(f"[{of}] {name}", other)
                                   for (of, name), other in local.items()])
    return wrong and f"[{section}] {option} = {path}: {wrong}; give {ADVICE[section]}"
