"""Whether this user can use the files that the jobs need: one run as root leaves locks and logs
that no other can open.

`status`, `check_jobs`, `doctor` and `test` ask. Looked at are owner and permissions alone; nothing
is written.
"""
from __future__ import annotations

import os

from jobs_lib.errors import ConfigError, UsageError
from jobs_lib.folders import as_user, owner_words, user_name
from jobs_lib.paths import SCRIPT, program
from jobs_lib.records import namedtuple

Unusable = namedtuple("Unusable", "option path what why fix")
Unusable.__doc__ = """Of one folder: its option, the first path that is wrong, all of them in words,
why, and how to fix it."""
MOST = 500                  # entries of a folder that are looked at
SHOWN = 3                   # paths named of each folder
FOLDERS = (("core", "state_dir"), ("core", "log_dir"), ("spool", "dir"), ("export", "dir"))
OURS = ("state_dir", "log_dir")         # all files in these are written by the jobs


def other_owner(config) -> int:
    """The user whose installation this is, where this is root and that another; else 0."""
    paths = (config.section("core").state_dir, config.path) if os.geteuid() == 0 else ()
    return next((user for path in paths
                 if os.path.exists(path) and (user := os.stat(path).st_uid)), 0)


def command_of(user: int, config, words: str) -> str:
    """The command by which root has that user do it."""
    return as_user(user, program(config.path).replace(os.path.basename(SCRIPT), SCRIPT, 1)
                   + f" {words}")


def refuse_root(config, words: str) -> None:
    """UsageError where root would leave files that the user of this installation cannot use."""
    if user := other_owner(config):
        raise UsageError(f"{words.split()[0]}: this installation belongs to user "
                         f"{user_name(user)}: run `{command_of(user, config, words)}`")


def unusable(config) -> list[str]:
    """A sentence for each folder of which something cannot be used; none where all is well."""
    return [f"{each.option}: {each.what} cannot be used: {each.why}: {each.fix}"
            for each in found(config)]


def found(config) -> list[Unusable]:
    """One Unusable for each folder of which something cannot be used."""
    answer = []
    for section, option in FOLDERS:
        try:
            folder = getattr(config.section(section), option)
        except (ConfigError, AttributeError):       # reported elsewhere
            continue
        if not folder or not os.path.lexists(folder):
            continue
        name = f"[{section}] {option}"
        if not os.path.isdir(folder):
            answer.append(Unusable(name, folder, folder, "it is no folder", "name one"))
        elif wrong := _wrong(folder, option):
            answer.append(Unusable(name, wrong[0], _paths(wrong), *_cause(wrong, folder)))
    return answer


def _wrong(folder: str, option: str) -> list[str]:
    """What of this folder cannot be used: itself, or files in it."""
    owner = os.stat(folder).st_uid
    if not _usable(folder):
        return [folder]
    if option not in OURS:
        return []
    inner = os.path.join(folder, "locks") if option == "state_dir" else ""
    if inner and os.path.isdir(inner):
        if not _usable(inner) or _left_by_root(os.stat(inner), owner):
            return [inner]
        return _files(folder, owner) + _files(inner, owner)
    return _files(folder, owner)


def _usable(folder: str) -> bool:
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def _files(folder: str, owner: int) -> list[str]:
    wrong = []
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number == MOST:
                break
            try:
                if entry.is_file(follow_symlinks=False) and (
                        not os.access(entry.path, os.R_OK | os.W_OK)
                        or _left_by_root(entry.stat(follow_symlinks=False), owner)):
                    wrong.append(entry.path)
            except OSError:                         # it has just been removed
                continue
    return sorted(wrong)


def _left_by_root(status, owner: int) -> bool:
    """Root may use everything; what root left in the folder of another user, that one cannot."""
    writable_by_others = status.st_mode & 0o022
    return os.geteuid() == 0 and owner not in (0, status.st_uid) and not writable_by_others


def _paths(wrong: list[str]) -> str:
    return ", ".join(wrong[:SHOWN]) + (f" and {len(wrong) - SHOWN} more" if wrong[SHOWN:] else "")


def _cause(wrong: list[str], folder: str) -> tuple[str, str]:
    """(why, how to fix all that is wrong); of several files, the command is for the folder."""
    path = wrong[0]
    if not os.access(path, os.R_OK | os.W_OK):
        why, _, fix = owner_words(path).partition(": ")
        if wrong[1:]:
            fix = fix.replace(f"chmod u+rwX {path}`", f"chmod -R u+rwX {folder}`").replace(
                f" {path}`", f" {folder}`")
        return why, fix
    owner, runs = user_name(os.stat(path).st_uid), user_name(os.stat(folder).st_uid)
    return (f"{path} belongs to {owner}, and {folder} to {runs}",
            f"run the jobs always as {runs}, and `chown -R {runs} {folder}` as root")
