"""Whether this user can use the files that the jobs need: one run as root leaves locks and logs
that no other can open.

`status`, `check_jobs`, `doctor` and `test` ask. Looked at are owner and permissions alone; nothing
is written.
"""
from __future__ import annotations

import os

from jobs_lib.errors import ConfigError, UsageError
from jobs_lib.folders import SCRIPT, as_user, owner_words, program, user_name

FOLDERS = (("core", "state_dir"), ("core", "log_dir"), ("spool", "dir"), ("export", "dir"))
OURS = ("state_dir", "log_dir")  # all files in these are written by the jobs


def as_owner(config, words: str) -> str:
    """The command by which root has the user of this installation do it; "" where this is that
    user."""
    for path in (config.section("core").state_dir, config.path) if os.geteuid() == 0 else ():
        if os.path.exists(path) and (owner := os.stat(path).st_uid):
            start = program(config.path).replace(os.path.basename(SCRIPT), SCRIPT, 1)
            return as_user(owner, f"{start} {words}")
    return ""


def refuse_root(config, words: str) -> None:
    """UsageError where root would leave files that the user of this installation cannot use."""
    if command := as_owner(config, words):
        raise UsageError(f"{words.split()[0]}: this is root, and the installation belongs to "
                         f"another user: run `{command}`")


def unusable(config) -> list[str]:
    """A sentence for each folder of which something cannot be used; none where all is well."""
    return [f"{what}: {fix}" for what, fix in found(config)]


def found(config) -> list[tuple[str, str]]:
    """(what cannot be used and why, how to fix it): the first thing in each folder."""
    answer = []
    for section, option in FOLDERS:
        try:
            folder = getattr(config.section(section), option)
        except ConfigError:  # reported elsewhere
            continue
        for path in _paths(folder, option in OURS):
            if wrong := _wrong(path, folder):
                why, _, fix = wrong.partition(": ")
                answer.append((f"[{section}] {option}: {path} cannot be used: {why}", fix))
                break
    return answer


def _paths(folder: str, is_ours: bool):
    """The folder, if it is there; where it is ours the files in it and its locks, too. A folder
    that cannot be used comes before those in it, and they are not asked for then."""
    if folder and os.path.lexists(folder):
        yield folder
    for each in (folder, os.path.join(folder, "locks")) if is_ours else ():
        if os.path.isdir(each):
            yield each
            paths = [os.path.join(each, name) for name in sorted(os.listdir(each))]
            yield from filter(os.path.isfile, paths)


def _wrong(path: str, folder: str) -> str:
    """Why it cannot be used, and how to fix it; "" where it can. Root may use everything: of what
    root has left in another user's folder, this is what that one finds."""
    if not os.path.isdir(folder):
        return f"{folder} is no folder: name one"
    needed = os.R_OK | os.W_OK | (os.X_OK if os.path.isdir(path) else 0)
    if not os.access(path, needed):
        return owner_words(path)
    status, owner = os.stat(path), os.stat(folder).st_uid
    if os.geteuid() != 0 or owner in (0, status.st_uid) or status.st_mode & 0o022:
        return ""
    runs = user_name(owner)
    return (f"{path} belongs to {user_name(status.st_uid)}, and {folder} to {runs}: run the jobs "
            f"always as {runs}, and `chown -R {runs} {folder}` as root")
