"""Whether cron can start what a line names: with cron's own PATH, in its folder, as its user."""
from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import stat

PATH = "/usr/bin:/bin"              # cron's own, on Debian and on most hosts
PYTHON = re.compile(r"(python|pypy)[\d.]*\Z")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
SEPARATORS = ("&&", "||", ";", "|", "&", "(", "{", "!", "then", "do", "else")


def wrong(line, place, has_users: bool) -> str:
    """What keeps cron from starting this line of a crontab (installed.Entry), in a sentence, or "".

    has_users: it is a table of the system, whose lines name a user before the command.
    """
    try:
        words = shlex.split(re.split(r"(?<!\\)%", line.command)[0].replace("\\%", "%"))
    except ValueError:
        return "a quote in it is never closed"
    path = line.variables.get("PATH", (PATH, 0))[0]
    at = _script_at(words, place.script)
    if at is None:
        return ""
    if at and not has_users and _is_user(words[0], path):
        return (f"it begins with the user {words[0]}, and cron takes that for the program: a "
                "user's own crontab has no such column: remove the word")
    if has_users:
        words, at = words[1:], at - 1
    folder = _folder(words[:at])
    before = at - 1
    while before >= 0 and words[before].startswith("-"):
        before -= 1                                          # python3 -u jobs.py
    ahead = words[before] if before >= 0 else ";"
    if ahead in SEPARATORS or ahead.endswith(";") or ASSIGNMENT.match(ahead):
        return _direct(place)
    for word in words[:before]:
        if word.startswith("PATH="):
            path = word.partition("=")[2].replace("$PATH", path)
    return _found(ahead, path, folder, place)


def _script_at(words: list[str], script: str) -> int | None:
    name = os.path.basename(script)
    return next((at for at, word in enumerate(words) if os.path.basename(word) == name), None)


def _is_user(word: str, path: str) -> bool:
    """Whether the first word is a user's name, as in /etc/crontab, and no program."""
    try:
        pwd.getpwnam(word)
    except (KeyError, ValueError):
        return False
    return shutil.which(word, path=path) is None


def _folder(words: list[str]) -> str:
    """Where the program is looked for: cron begins in the home folder, and `cd` may follow."""
    folder = os.path.expanduser("~")
    for word, after in zip(words, words[1:]):
        if word == "cd":
            folder = os.path.join(folder, os.path.expanduser(after.rstrip(";")))
    return folder


def _direct(place) -> str:
    """The script is started by itself: it has to be executable."""
    if os.access(place.script, os.X_OK):
        return ""
    try:
        mode = f"its mode is {stat.S_IMODE(os.stat(place.script).st_mode):o}"
    except OSError:
        mode = "it is not there"
    return (f"{place.script} cannot be started by itself, since {mode}: put {place.python} before "
            "it")


def _found(name: str, path: str, folder: str, place) -> str:
    """Why cron does not find the program before the script, or may not run it."""
    if "/" in name:
        full = os.path.join(folder, os.path.expanduser(name))
        return "" if os.access(full, os.X_OK) else (f"there is no program {name}, or it may not "
                                                    "be run")
    if PYTHON.match(name) and shutil.which(name, path=path) is None:
        return (f"cron finds no program {name} in its PATH ({path}): write {place.python} in its "
                "place")
    return ""
