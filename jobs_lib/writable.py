"""Who else could change what this installation runs and trusts: modes and owners of files, and of the folders above."""
from __future__ import annotations

import os
import stat
from collections import namedtuple

from . import settings
from .errors import ConfigError
from .place import HOME, SCRIPT

PROGRAM = ("jobs_lib", "vendor", ".venv")        # beside jobs.py: what Python runs
FOLDERS = (("core", "state_dir"), ("core", "log_dir"), ("spool", "dir"), ("export", "dir"), ("archive", "store"),
           ("notifications", "templates"))

Open = namedtuple("Open", "path how mend passing")
Open.__doc__ = """A file or folder that another user can change.

how      in words: `belongs to user 33`         mend     a command for it
passing  whether only the next one can be put in its place: it lies in a folder like /tmp
"""


def open_to_others(config, home: str = HOME) -> list[Open]:
    """All that is open, each path once, in the order of how bad that is: the program first."""
    found: dict = {}
    for path in _program(home):
        for each in _chain(path):
            _judge(each, found)
    for path in _named(config) if config else ():
        for each in _chain(path):
            _judge(each, found)
    return [each for each in found.values() if each]


def _program(home: str):
    script = SCRIPT if home == HOME else os.path.join(home, "jobs.py")
    yield script
    for name in PROGRAM:
        for above, folders, files in os.walk(os.path.join(home, name)):
            yield from (os.path.join(above, each) for each in (".", *folders, *files))


def _named(config):
    yield config.path
    yield os.path.join(config.folder, ".env")
    for section, option in FOLDERS:
        try:
            value = getattr(config.section(section), option)
        except ConfigError:                      # told by itself
            value = settings.SECTIONS[section][option].default
        if value and "://" not in value:
            yield os.path.join(config.folder, value)


def _chain(path: str):
    """The path and the folders above it, by its name and by where links lead."""
    for each in dict.fromkeys((os.path.abspath(path), os.path.realpath(path))):
        while True:
            yield each
            above = os.path.dirname(each)
            if above == each:
                break
            each = above


def _judge(path: str, found: dict) -> None:
    if path in found:
        return
    found[path] = None
    try:
        status = os.stat(path)
    except OSError:                              # not there, which is told by whatever needs it
        return
    if status.st_uid not in (0, os.geteuid()):
        found[path] = Open(path, f"belongs to user {status.st_uid}", f"chown -R {os.geteuid()} {path}", False)
    elif who := _others(status):
        passing = bool(stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX)
        found[path] = Open(path, f"can be written by {who}", f"chmod go-w {path}", passing)


def _others(status) -> str:
    if status.st_mode & stat.S_IWOTH:
        return "everyone on this host"
    if status.st_mode & stat.S_IWGRP and not _nobody_else(status.st_gid):
        return f"the group {status.st_gid}"
    return ""


def _nobody_else(group: int) -> bool:
    """Whether the group is root's, or the one of this user alone that many systems give to each."""
    import grp
    import pwd
    try:
        user, known = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return group == 0
    return group == 0 or (known.gr_name == user.pw_name and set(known.gr_mem) <= {user.pw_name})
