"""Folders and files: whose they are, who else can read or change them, whether the web can, room on
the disk, and whether a file can be written and locked."""
from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import tempfile

from jobs_lib.config import settings
from jobs_lib.database import dialects
from jobs_lib.folders import user_name
from jobs_lib.output.findings import note, ok, problem, run, warning
from jobs_lib.records import namedtuple
from jobs_lib.runner import access
from jobs_lib.text import size

from . import Reported

WRITABLE = stat.S_IWGRP | stat.S_IWOTH
PRIVATE = stat.S_IRWXG | stat.S_IRWXO
# What hosts call the folder whose files the web server hands out. /var/www and /srv/www only hold
# such folders.
WEB_ROOTS = re.compile(r"(?:/(?:public_html|htdocs|httpdocs|webroot|wwwroot|public|html|web\d+/web)"
                       r"|(?<!^/var)(?<!^/srv)/www)(?=/|$)", re.IGNORECASE)
MAKE_ROOM = "Make room: `du -sh *` in your home folder shows what takes it."
MB = 1024 ** 2
LITTLE, TIGHT = 20 * MB, 200 * MB        # free bytes: work stops soon; worth a look
TEST_BYTES = MB

Place = namedtuple("Place", "name path refused")
Place.__doc__ = "A folder or file, what sets it, and the mode bits that it must not have."


def _folders(installation) -> list[Place]:
    """The five folders that hold what is private, as far as they are set."""
    core, store = installation.section("core"), installation.section("archive").store
    named = {"[core] state_dir": core.state_dir, "[core] log_dir": core.log_dir,
             "[spool] dir": installation.section("spool").dir,
             "[export] dir": installation.section("export").dir,
             "[archive] store": "" if "://" in store else store}
    return [Place(name, path, PRIVATE) for name, path in named.items()]


def _places(installation) -> list[Place]:
    """These, the files that hold secrets or data, and the program, as far as they are there."""
    config, home = installation.config, os.path.dirname(installation.script)
    database = dialects.file_of(installation.section("core").database, config.folder)
    written = [(option.kind.mask, config.written(section, name, option))
               for section, name, option in settings.shared_options() if option.kind.mask]
    secret = PRIVATE if any(found.origin in ("file", ".env") and mask(found.text) != found.text
                            for mask, found in written) else WRITABLE
    found = [*_folders(installation), Place("the configuration", config.path, secret),
             Place("the settings", os.path.join(config.folder, ".env"), secret),
             # the app may read and write it as another user of the group
             Place("the database", database or "", stat.S_IRWXO),
             *(Place("the program", path, WRITABLE) for path in (
                 home, installation.script, os.path.join(home, "jobs_lib"), config.folder))]
    return [place for place in found if place.path and os.path.exists(place.path)]


def modes(installation):
    """Nobody else can change anything, or read what is private."""
    user, found = _user(installation), []
    for place in dict.fromkeys(_places(installation)):
        status = os.stat(place.path)
        if stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
            found += _judged(place, status, user)
    yield from found or [ok("nobody else can change the program, or read what is private")]


def _user(installation) -> int:
    """Who runs the jobs: where this is root, the owner of the state folder."""
    state = installation.section("core").state_dir
    return os.stat(state).st_uid if os.geteuid() == 0 and os.path.exists(state) else os.geteuid()


def _judged(place: Place, status, user: int):
    name, path, refused = place
    least = "go-w" if refused == WRITABLE else "600" if stat.S_ISREG(status.st_mode) else "700"
    take = run("Take it from them:", f"chmod {least} {path}")
    if _is_of_user_alone(status.st_gid, user):
        refused &= stat.S_IRWXO
    if status.st_uid not in (0, user):
        yield problem(f"{name}: {path} belongs to {user_name(status.st_uid)}, and the jobs run as "
                      f"{user_name(user)}", "That user can change what the jobs do or hold.",
                      run("Unless that is meant:", f"chown -R {user} {path}"))
    elif status.st_mode & refused & WRITABLE:
        yield problem(f"{name}: {path} can be written by others (mode {status.st_mode & 0o777:o})",
                      "They could make the jobs run anything, or read what they write.", take)
    elif status.st_mode & refused:
        yield problem(f"{name}: {path} can be read by others (mode {status.st_mode & 0o777:o})",
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
    for what, fix in access.found(installation.config):
        yield problem(what, "Jobs that need a lock, a log or a file of another user do not run.",
                      f"{fix[:1].upper()}{fix[1:]}.")


def web_root(installation):
    """No secret lies where a web server may hand it out."""
    below = {place.name: root for place in _places(installation) if (root := _root(place.path))}
    if not below:
        yield ok("nothing private is below a web root, judging by the names of folders")
        return
    root = next(iter(below.values()))
    yield problem(f"{', '.join(below)} {'lies' if len(below) == 1 else 'lie'} below the web root "
                  f"{root}", "Anyone who guesses a name may fetch passwords and messages. A "
                  ".htaccess is obeyed by Apache alone, and only where the host allows it.",
                  "Move it out of there, beside that folder, and correct the cron line (`jobs.py "
                  "crontab`). Until then see that your domain refuses it: `curl -I` has to say 403 "
                  "or 404.")


def _root(path: str) -> str | None:
    """The folder above it (or itself) that is a web root by its name."""
    for each in (os.path.abspath(path), os.path.realpath(path)):
        if found := WEB_ROOTS.search(each):
            return each[:found.end()]
    return None


def room(installation):
    """Bytes that still fit on each disk."""
    seen: set = set()
    for name, path, _ in _places(installation):
        disk, device = os.statvfs(path), os.stat(path).st_dev
        left = disk.f_bavail * disk.f_frsize
        if device not in seen and left < TIGHT:
            say = problem if left < LITTLE else warning
            yield say(f"{size(left)} are free on the disk of {name} ({path})",
                      "Full, a run ends with an error, and mail that comes in cannot be kept.",
                      MAKE_ROOM)
        seen.add(device)


def writing(installation):
    """A file can be written in full, also where an account has a quota, and a lock on it keeps a
    second process out."""
    state = installation.section("core").state_dir
    if not os.path.isdir(state):
        raise Reported
    try:
        with tempfile.NamedTemporaryFile(dir=state, prefix="doctor.") as file:
            file.write(bytes(TEST_BYTES))
            file.flush()
            os.fsync(file.fileno())
            yield from _locking(file, state, installation.section("core").lock)
    except OSError as error:
        used_up = error.errno in (errno.ENOSPC, errno.EDQUOT)
        yield problem(f"A file of 1 MB cannot be written and locked in {state}: {error.strerror}",
                      "Locks, logs and messages are written there.",
                      f"{MAKE_ROOM} Or ask your host for a larger quota." if used_up else
                      "Let the user of the cron line write there, or ask your host.")


def _locking(file, state: str, lock: str):
    fix = "Move [core] state_dir to a local disk; with a MySQL database, or set lock = database."
    say = problem if lock == "file" else note
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(file.name, "rb") as again:
        try:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield ok(f"files can be written and locked in {state}")
        else:
            yield say(f"Two locks on one file in {state} are both granted",
                      "Two runs of a job could work at the same time.", fix)


CHECKS = (modes, files_of_others, web_root, room, writing)
