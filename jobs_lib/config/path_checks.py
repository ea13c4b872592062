"""What the paths of a configuration lead to: a folder where one is meant, a file where one is, and
nothing else.

Nothing is opened: to open a named pipe waits until somebody writes into it.
"""
from __future__ import annotations

import os
import stat

from jobs_lib.errors import ConfigError, DatabaseError

from . import settings

FOLDER, FILE, SOCKET = "folder", "file", "socket"
EXPECTED = {FOLDER: stat.S_ISDIR, FILE: stat.S_ISREG, SOCKET: stat.S_ISSOCK}
FOUND = ((stat.S_ISREG, "a file"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"),
         (stat.S_ISSOCK, "a socket"))


def wrong(config, options=None) -> list[str]:
    """A sentence for each path that leads to something else, or to nothing where a file has to be.

    `options`: the (section, option) to look at; None: all.
    """
    return [f"[{section}] {name}: {why} "
            f"({config.written(section, name, settings.SECTIONS[section][name]).place})"
            for section, name, path, expected, made in (*_paths(config), *_of_database(config))
            if (options is None or (section, name) in options)
            and (why := _why(path, expected, made))]


def _paths(config):
    """(section, option, path, what it has to be, whether it may be missing) of all that is set."""
    for section, name, option in settings.shared_options():
        expected = next((each for each in (FOLDER, FILE)
                         if option.kind.name.startswith(f"path of a {each}")), None)
        if expected is None or section == "status":     # publish.refusal judges what is replaced
            continue
        try:
            path = config.value(section, name, settings.SECTIONS[section])
        except ConfigError:                             # reported with the other mistakes
            continue
        if path and "://" not in path:
            yield section, name, path, expected, expected == FOLDER and section != "notifications"


def _of_database(config):
    """The same of the file, the certificate and the socket in the database's URL."""
    from jobs_lib.database import dialects

    try:
        url = config.section("core").database
        target = dialects.target(url, config.folder)
    except (ConfigError, DatabaseError):
        return
    for path, expected, made in ((dialects.file_of(url, config.folder), FILE, True),
                                 (getattr(target, "ca", None), FILE, False),
                                 (getattr(target, "socket", None), SOCKET, True)):
        if path:
            yield "core", "database", path, expected, made


def _why(path: str, expected: str, made: bool) -> str:
    try:
        mode = os.stat(path).st_mode
    except NotADirectoryError:
        while not os.path.lexists(path):
            path = os.path.dirname(path)
        return f"{path} is not a folder: name another path"
    except FileNotFoundError:
        if os.path.islink(path):
            return (f"{path} is a link that leads nowhere: remove the link, or name another "
                    f"{expected}")
        return "" if made else f"there is no {expected} {path}: put it there, or name another"
    except OSError as error:
        # a loop of links; runner/access.py reports what may not be looked at
        refused = isinstance(error, PermissionError)
        return "" if refused else f"{path} cannot be used: {error.strerror}"
    if EXPECTED[expected](mode):
        return ""
    found = next((words for is_one, words in FOUND if is_one(mode)), "a device")
    return (f"{path} is not a {expected} but {found}: name another {expected}, and leave this one "
            "as it is")
