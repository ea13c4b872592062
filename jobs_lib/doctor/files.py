"""Folders and files: whose they are, who else can read or change them, whether the web can, and
whether a file can be written and locked."""
from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile

from jobs_lib.database import dialects
from jobs_lib.folders import HOME, SCRIPT, unusable, user_name
from jobs_lib.output.findings import note, problem, run
from jobs_lib.text import capital

from . import Reported

WRITABLE = stat.S_IWGRP | stat.S_IWOTH
PRIVATE = stat.S_IRWXG | stat.S_IRWXO
# What hosts call the folder whose files the web server hands out. /var/www and /srv/www only hold
# such folders.
WEB_ROOTS = re.compile(r"(?:/(?:public_html|htdocs|httpdocs|webroot|wwwroot|public|html|web\d+/web)"
                       r"|(?<!^/var)(?<!^/srv)/www)(?=/|$)", re.IGNORECASE)
TEST_BYTES = 1024 ** 2


def _places(installation) -> list[tuple[str, str, int]]:
    """(what sets it or what it is, its path, the mode bits that it must not have) of what is
    private, and of the program; as far as they are there."""
    config, section = installation.config, installation.section
    core = section("core")
    database = dialects.file_of(core.database, config.folder)
    private = {"[core] state_dir": core.state_dir, "[core] log_dir": core.log_dir,
               "[spool] dir": section("spool").dir, "[export] dir": section("export").dir,
               "[archive] store": section("archive").store, "the configuration": config.path,
               "the settings": os.path.join(config.folder, ".env")}
    found = [*((name, path, PRIVATE) for name, path in private.items()),
             # the app may read and write it as another user of the group
             ("the database", database or "", stat.S_IRWXO),
             ("[notifications] templates", section("notifications").templates, WRITABLE),
             *(("the program", os.path.join(HOME, path), WRITABLE) for path in (
                 HOME, SCRIPT, "jobs_lib", "vendor", ".venv", config.folder))]
    # "" and a URL are no paths; a file in the place of a folder is none of ours
    return [place for place in dict.fromkeys(found)
            if os.path.isdir(place[1]) or (place[0][0] != "[" and os.path.exists(place[1]))]


def modes(installation):
    """Nobody else can change the program, or read what is private."""
    user = os.geteuid()
    for name, path, refused in _places(installation):
        status = os.stat(path)
        if _is_of_user_alone(status.st_gid, user):
            refused &= stat.S_IRWXO
        least = "go-w" if refused & stat.S_IROTH == 0 else "700" if os.path.isdir(path) else "600"
        mode = status.st_mode & 0o777
        take = run("Remove that permission:", f"chmod {least} {path}")
        if status.st_uid not in (0, user):
            yield problem(f"{name}: {path} belongs to {user_name(status.st_uid)}, and the jobs run "
                          f"as {user_name(user)}", "That user can change what the jobs do or keep.",
                          run("Unless this is intended:", f"chown -R {user} {path}"))
        elif mode & refused & WRITABLE:
            yield problem(f"{name}: {path} can be written by others (mode {mode:o})",
                          "They could make the jobs run anything, or read what they write.", take)
        elif mode & refused:
            yield problem(f"{name}: {path} can be read by others (mode {mode:o})",
                          "It holds keys, passwords, people's messages or who wrote to whom.", take)


def _is_of_user_alone(group: int, user: int) -> bool:
    """Whether the group is root's, or the one of this user alone that many systems give to each."""
    import grp
    import pwd
    try:
        name, known = pwd.getpwuid(user).pw_name, grp.getgrgid(group)
    except KeyError:
        return group == 0
    return group == 0 or (known.gr_name == name and set(known.gr_mem) <= {name})


def files_of_others(installation):
    """What one run as another user has left is used by this one, too."""
    for sentence in unusable(installation.config):
        what, _, fix = sentence.rpartition(": ")
        yield problem(what, "Jobs that need it do not run.", f"{capital(fix)}.")


def web_root(installation):
    """Nothing private is below a web root, judging by the names of folders."""
    below = {name: root for name, path, _ in _places(installation) if (root := _root(path))}
    if below:
        yield problem(f"{', '.join(below)} {'lies' if len(below) == 1 else 'lie'} below the web "
                      f"root {next(iter(below.values()))}", "Anyone who guesses a name may fetch "
                      "passwords and messages, unless the web server obeys a .htaccess.",
                      "Move it out of there, beside that folder, and correct the cron line "
                      "(`jobs.py crontab`).")


def _root(path: str) -> str | None:
    """The folder above it (or itself) that is a web root by its name."""
    for each in (os.path.abspath(path), os.path.realpath(path)):
        if found := WEB_ROOTS.search(each):
            return each[:found.end()]
    return None


def writing(installation):
    """A file can be written in full, also where an account has a quota, and a lock on it keeps a
    second process out."""
    core = installation.section("core")
    state = core.state_dir
    if not os.path.isdir(state):
        raise Reported
    try:
        with tempfile.NamedTemporaryFile(dir=state, prefix="doctor.") as file:
            file.write(bytes(TEST_BYTES))
            file.flush()
            os.fsync(file.fileno())
            is_lock_kept = _is_lock_kept(file)
    except OSError as error:
        yield problem(f"A file of 1 MB cannot be written and locked in {state}: {error.strerror}",
                      "Locks, logs and messages are written there.",
                      "Let this user write there, or make room: `du -sh *` shows what uses it.")
    else:
        if not is_lock_kept:
            say = problem if core.lock == "file" else note
            yield say(f"Two locks on one file in {state} are both granted",
                      "Two runs of a job could work at the same time.", "Move [core] state_dir to "
                      "a local disk; or, with MySQL, set lock = database.")


def _is_lock_kept(file) -> bool:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(file.name, "rb") as again:
        try:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


CHECKS = (modes, files_of_others, web_root, writing)
