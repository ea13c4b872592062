"""Whether this user can use the files that the jobs need: one run as root leaves locks and logs that no other can open.

`status`, `check_jobs`, `doctor` and `test` ask. Looked at are owner and permissions alone; nothing is written.
"""
from __future__ import annotations

import os

from .errors import ConfigError
from .folders import owner_words, user_name

MOST = 500                  # entries of a folder that are looked at
SHOWN = 3                   # paths named of each folder
FOLDERS = (("core", "state_dir"), ("core", "log_dir"), ("spool", "dir"), ("export", "dir"))
OURS = ("state_dir", "log_dir")         # all files in these are written by the jobs


def unusable(config) -> list[str]:
    """A sentence for each folder of which something cannot be used; none where all is well."""
    found = []
    for section, option in FOLDERS:
        try:
            folder = getattr(config.section(section), option)
        except (ConfigError, AttributeError):       # told elsewhere
            continue
        if not folder or not os.path.lexists(folder):
            continue
        if not os.path.isdir(folder):
            found.append(f"[{section}] {option}: {folder} is no folder")
            continue
        places = [folder, *([os.path.join(folder, "locks")] if option == "state_dir" else [])]
        wrong = [path for place in places for path in _in(place, files=option in OURS)]
        if wrong:
            found.append(_words(f"[{section}] {option}", wrong))
    return found


def _in(folder: str, files: bool) -> list[str]:
    """What cannot be used: the folder itself, or files in it."""
    if not os.path.isdir(folder):
        return []
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return [folder]
    owner, found = os.stat(folder).st_uid, []
    if not files:
        return []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number == MOST:
                break
            try:
                if entry.is_file(follow_symlinks=False) and _foreign(entry, owner):
                    found.append(entry.path)
            except OSError:                         # it has just been removed
                continue
    return sorted(found)


def _foreign(entry, owner: int) -> bool:
    """Root may use everything; what root left in the folder of another user, that one cannot."""
    if not os.access(entry.path, os.R_OK | os.W_OK):
        return True
    status = entry.stat(follow_symlinks=False)
    return os.geteuid() == 0 and owner != 0 and status.st_uid != owner and not status.st_mode & 0o022


def _words(option: str, wrong: list[str]) -> str:
    names = ", ".join(wrong[:SHOWN]) + (f" and {len(wrong) - SHOWN} more" if wrong[SHOWN:] else "")
    return f"{option}: {names} cannot be used: {cause(wrong[0])}"


def cause(path: str) -> str:
    """Why, and what to do."""
    if not os.access(path, os.R_OK | os.W_OK):
        return owner_words(path)
    owner, folder = os.stat(path).st_uid, os.path.dirname(path)
    runs = user_name(os.stat(folder).st_uid)
    return (f"{path} belongs to {user_name(owner)}, and {folder} to {runs}: run the jobs always as {runs}, and "
            f"`chown -R {runs} {folder}` as root")
