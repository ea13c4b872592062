"""Who else could change what this installation runs and trusts: modes and owners of files, and of
the folders above."""
from __future__ import annotations

import os
import shlex
import stat

from jobs_lib.config import settings
from jobs_lib.errors import ConfigError, UsageError
from jobs_lib.folders import as_user, is_ours, user_name
from jobs_lib.paths import HOME
from jobs_lib.records import namedtuple

# beside jobs.py: what Python runs
PROGRAM = ("jobs_lib", "vendor", ".venv")
FOLDERS = (("core", "state_dir"), ("core", "log_dir"), ("spool", "dir"), ("export", "dir"),
           ("archive", "store"), ("notifications", "templates"))

Open = namedtuple("Open", "path how command passing")
Open.__doc__ = """A file or folder that another user can change.

how      in words: `belongs to user 33`
command  what fixes it; "" where it may rightly be others'
passing  whether only the next one can be put in its place: it lies in a folder like /tmp
"""


class Owner(namedtuple("Owner", "name uid start")):
    """The user that an installation belongs to, where this is root and that is another; and what
    starts jobs.py."""

    def command(self, words: str) -> str:
        """What root types to have it done by that user."""
        return as_user(self.uid, f"{self.start} {words}")


def run_as(config, home: str = HOME) -> Owner | None:
    """Root looks at the installation of another user: then what belongs to that one is in order,
    and root is not."""
    user = owner(config, home)
    if user == os.geteuid():
        return None
    start = f"python3 {shlex.quote(_script(home))}"
    if config and os.path.abspath(config.path) != os.path.join(home, "config.ini"):
        start += f" --config {shlex.quote(os.path.abspath(config.path))}"
    return Owner(user_name(user), user, start)


def refuse_root(config, words: str) -> None:
    """UsageError where the state folder is another user's and this is root, whose files that one
    could not use. `words`: the command, as that user is to give it."""
    try:
        user = os.stat(config.section("core").state_dir).st_uid
    except OSError:                              # not there yet
        return
    if os.geteuid() == 0 != user and (owner := run_as(config)):
        raise UsageError(f"{words.split()[0]}: this installation belongs to user {owner.name}: run "
                         f"`{owner.command(words)}`")


def owner(config, home: str = HOME) -> int:
    """The user who runs the jobs: this one, or, where this is root, the owner of the state folder,
    config.ini, jobs.py or their folder.

    The first that is not root's decides: root may have unpacked a bundle that another user runs.
    """
    if os.geteuid() != 0:
        return os.geteuid()
    places = [*_named(config, ("state_dir",)), config.path] if config else []
    for path in (*places, _script(home), home, *([config.folder] if config else [])):
        try:
            if user := os.stat(path).st_uid:
                return user
        except OSError:
            continue
    return 0


def open_to_others(config, home: str = HOME) -> list[Open]:
    """All that is open, each path once, in the order of how bad that is: the program first."""
    found: dict = {}
    user, files = owner(config, home), [config.path, os.path.join(config.folder,
                                                                  ".env")] if config else []
    ours = [home, *([config.folder] if config else [])]
    for path in (*_program(home), *files, *(_named(config) if config else ())):
        for each in _chain(path):
            if each not in found:
                found[each] = _judge(each, user, any(_is_in(each, folder) for folder in ours)
                                     or is_ours(each))
    return [each for each in found.values() if each]


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def _script(home: str) -> str:
    return os.path.join(home, "jobs.py")


def _program(home: str):
    yield _script(home)
    for name in PROGRAM:
        for above, folders, files in os.walk(os.path.join(home, name)):
            yield from (os.path.join(above, each) for each in (".", *folders, *files))


def _named(config, options=None):
    """The folders that are set, as far as they are folders: config/path_checks.py reports what else
    a path leads to."""
    for section, option in FOLDERS:
        if options and option not in options:
            continue
        try:
            value = getattr(config.section(section), option)
        except ConfigError:                      # reported by itself
            value = settings.SECTIONS[section][option].default
        path = os.path.join(config.folder, value)
        if value and "://" not in value and (os.path.isdir(path) or not os.path.lexists(path)):
            yield path


def _chain(path: str):
    """The path and the folders above it, by its name and by where links lead."""
    for each in dict.fromkeys((os.path.abspath(path), os.path.realpath(path))):
        while True:
            yield each
            above = os.path.dirname(each)
            if above == each:
                break
            each = above


def _judge(path: str, user: int, ours: bool) -> Open | None:
    """`ours`: whether it surely serves the jobs alone. A command that changes anything else could
    break the system."""
    try:
        status = os.stat(path)
    except OSError:                              # not there: whatever needs it reports that
        return None
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        # a device in the place of a folder: config/path_checks.py reports it
        return None
    if status.st_uid not in (0, user):
        command = f"chown -R {user} {path}" if ours else ""
        return Open(path, f"belongs to user {status.st_uid}", command, False)
    if who := _others(status, user):
        passing = bool(stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX)
        safe = ours or status.st_uid == user != 0
        return Open(path, f"can be written by {who}", f"chmod go-w {path}" if safe else "", passing)
    return None


def _others(status, user: int) -> str:
    if status.st_mode & stat.S_IWOTH:
        return "everyone on this host"
    if status.st_mode & stat.S_IWGRP and not _nobody_else(status.st_gid, user):
        return f"the group {status.st_gid}"
    return ""


def _nobody_else(group: int, user: int) -> bool:
    """Whether the group is root's, or the one of this user alone that many systems give to each."""
    import grp
    import pwd
    try:
        name, known = pwd.getpwuid(user).pw_name, grp.getgrgid(group)
    except KeyError:
        return group == 0
    return group == 0 or (known.gr_name == name and set(known.gr_mem) <= {name})
