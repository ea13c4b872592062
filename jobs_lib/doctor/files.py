"""Folders and files: whose they are, who else can read them, whether the web can, locks, room on
the disk."""
from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import tempfile
from datetime import datetime, timedelta, timezone

from jobs_lib.config import settings
from jobs_lib.database import dialects
from jobs_lib.folders import HTACCESS
from jobs_lib.output.findings import Finding, note, ok, problem, run, warning
from jobs_lib.paths import HOME
from jobs_lib.runner import access
from jobs_lib.text import size

from . import NothingToAsk
from .mounts import NETWORK, file_system
from .writable import open_to_others

OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What hosts call the folder whose files the web server hands out. /var/www and /srv/www only hold
# such folders.
WEB_ROOTS = re.compile(r"(?:/(?:public_html|htdocs|httpdocs|webroot|wwwroot|public|html|web\d+/web)"
                       r"|(?<!^/var)(?<!^/srv)/www)(?=/|$)", re.IGNORECASE)
FRONT_PAGES = ("index.php", "index.html", "wp-config.php")
SHOWN = 5                # of the same mistake in many files
TAKE_AWAY = "Take it from them:"
AWAY = "Keep what the jobs use in a folder that nobody else can change."
MB, GB = 1024 ** 2, 1024 ** 3
LITTLE, TIGHT = 20 * MB, 200 * MB        # free bytes: work stops soon; worth a look
FEW_INODES = 1000
TEST_BYTES = MB
CLOCK_SECONDS = 5


def _folders(installation) -> dict[str, str]:
    """The folders that hold what is private, by what sets them."""
    core = installation.section("core")
    return {"[core] state_dir": core.state_dir, "[core] log_dir": core.log_dir,
            "[spool] dir": installation.section("spool").dir,
            "[export] dir": installation.section("export").dir}


def _places(installation) -> dict[str, str]:
    """These, the archives and the database file, as far as they are there."""
    store, database = installation.section("archive").store, _database_file(installation)
    found = {**_folders(installation), **({} if "://" in store else {"[archive] store": store}),
             **({"the database file": database} if database else {})}
    return {name: path for name, path in found.items() if path and os.path.exists(path)}


def _database_file(installation) -> str | None:
    """The SQLite file, if that is the database."""
    path = dialects.file_of(installation.section("core").database, installation.config.folder)
    return path if os.path.isfile(path) else None


def is_read_only(path: str) -> bool:
    """Whether the file system there is mounted for reading alone."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def free(path: str) -> int:
    """Bytes that this user can still write on the disk there."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


def read_only(installation):
    """One cause for everything that cannot be written."""
    found = {name: path for name, path in _places(installation).items() if is_read_only(path)}
    if found:
        listed = ", ".join(f"{name} ({path})" for name, path in found.items())
        yield problem(f"Mounted read-only is the disk of {listed}",
                      "Nothing can be written there, so no job runs.",
                      "A system mounts a disk so when it finds errors on it: ask your host. If you "
                      "are root, look at `dmesg`, and then `mount -o remount,rw` it.")


def configuration(installation):
    """config.ini and .env can be read by nobody else, as soon as they hold a secret."""
    config = installation.config
    if config is None:
        raise NothingToAsk
    found = readable(config)
    yield from found
    if found or not os.path.exists(config.path):
        return
    if os.stat(config.path).st_mode & OTHERS:
        yield note(f"Others on this host can read {config.path}, which holds no secret that is "
                   "known", "A password is soon put into it.",
                   run(TAKE_AWAY, f"chmod 600 {config.path}"))
    else:
        yield ok(f"{config.path} is private")


def readable(config) -> list[Finding]:
    """config.ini and .env that others can read although they hold secrets."""
    found = []
    for path, source in ((config.path, "file"), (os.path.join(config.folder, ".env"), ".env")):
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue
        secret = _secret_options(config, source)
        if secret and mode & (stat.S_IRGRP | stat.S_IROTH):
            who = "everyone on this host" if mode & stat.S_IROTH else "your group"
            found.append(problem(
                f"{path} holds secrets ({', '.join(secret)}) and can be read by {who}",
                "On a shared host others have accounts too.", run(TAKE_AWAY, f"chmod 600 {path}")))
    return found


def _secret_options(config, source: str) -> list[str]:
    """The options that hold a secret and are set by this source."""
    found = []
    for section, name, option in settings.shared_options():
        text, origin, _ = config.written(section, name, option)
        if option.kind.mask and origin == source and option.kind.mask(text) != text:
            found.append(f"[{section}] {name}")
    return found


def private_folders(installation):
    """The folders are there, are this user's, and nobody else's."""
    missing = [(option, path) for option, path in _folders(installation).items()
               if option in ("[core] state_dir", "[spool] dir") and not os.path.lexists(path)]
    if missing:
        options, paths = (", ".join(words) for words in zip(*missing))
        yield problem(f"{options}: there is no folder {paths}", "Nothing can run without it.",
                      "`jobs.py migrate` makes it, if the path is right.")
    for option, path in _folders(installation).items():
        try:
            status = os.stat(path)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):            # reported with the configuration
            continue
        if status.st_uid != os.geteuid() and os.geteuid() != 0:
            yield problem(f"{option}: {path} belongs to another user ({status.st_uid}, and you are "
                          f"{os.geteuid()})", "A lock of another user cannot be taken, and "
                          "their files cannot be written.", "Run the jobs always as the same user, "
                          "and give that user the folder with all that is in it.")
        elif status.st_mode & OTHERS:
            say = warning if option == "[core] log_dir" else problem
            yield say(f"{option}: others on this host can look into {path} (mode "
                      f"{status.st_mode & 0o777:o})",
                      "It holds keys, people's messages, or who wrote to whom.",
                      run(TAKE_AWAY, f"chmod 700 {path}"))
        elif is_read_only(path):                        # by read_only
            continue
        elif not os.access(path, os.W_OK | os.X_OK):
            yield problem(f"{option}: {path} cannot be written",
                          "Locks, logs and files are written there.",
                          run("Allow it:", f"chmod 700 {path}"))
        else:
            yield ok(f"{option} is private: {path}")


def files_of_others(installation):
    """What one run as another user has left is used by this one, too."""
    if installation.config is None:
        raise NothingToAsk
    reported = _folders(installation).values()               # by private_folders
    for each in access.found(installation.config):
        if each.path not in reported and os.path.exists(each.path):
            yield problem(f"{each.option}: {each.what} cannot be used: {each.why}",
                          "Jobs that need a lock, a log or a file of another user do not run.",
                          f"{each.fix[:1].upper()}{each.fix[1:]}.")


def secret_files(installation):
    """The key and the database file are for their owner alone."""
    key, database = os.path.join(installation.state_dir, "secret"), _database_file(installation)
    for path, holds in ((key, "the key that signs links and senders"),
                        (database, "everybody's data")):
        if path and os.path.exists(path) and os.stat(path).st_mode & OTHERS:
            mode = os.stat(path).st_mode
            say = problem if mode & stat.S_IRWXO or path == key else note
            yield say(f"{path} can be read by others on this host (mode {mode & 0o777:o})",
                      f"It holds {holds}.",
                      run("Take it from them (unless your app reads it as another user of your "
                          "group):", f"chmod 600 {path}"))


def changeable(installation):
    """Nobody else can change the program, its configuration and its folders, or put another in
    their place."""
    found = open_to_others(installation.config, installation.home)
    yield from changeable_by_others(found, installation.home)
    for each in found:
        if each.passing:
            yield note(f"This lies in the temporary folder {each.path}", "The system empties it "
                       "one day, and then any user can put something of the same name there.",
                       "Move it to a folder of your own.")
    if not found:
        yield ok("nobody else can change the program, its configuration and its folders")


def changeable_by_others(found: list, home: str = HOME):
    """A problem for each of the first files and folders that others can change."""
    wrong = [each for each in found if not each.passing]
    for each in wrong[:SHOWN]:
        yield problem(f"{each.path} {each.how}",
                      "Another user could make the jobs run anything, or read what they write.",
                      run(TAKE_AWAY, each.command) if each.command else AWAY)
    if wrong[SHOWN:]:
        yield problem(f"{len(wrong) - SHOWN} more files or folders can be changed by others",
                      "Only the first are listed one by one.",
                      run("Take them all:", f"chmod -R go-w {home}"))


def web_root(installation):
    """No secret lies where a web server may hand it out."""
    if installation.config is None:
        raise NothingToAsk
    places = {"the program": installation.home, "config.ini": installation.config.folder,
              **_places(installation)}
    exposed = {name: path for name, path in places.items() if _below(path)}
    if exposed:
        root = _below(next(iter(exposed.values()))) or ""
        bare = [path for path in exposed.values() if not _refuses(path, root)]
        guard = (f"There is no .htaccess of ours above {bare[0]}." if bare else
                 "The .htaccess there is obeyed by Apache alone, and only where the host allows "
                 "it.")
        yield problem(f"{', '.join(exposed)} {'lies' if len(exposed) == 1 else 'lie'} below the "
                      f"web root {root}",
                      f"Anyone who guesses a name may fetch passwords and messages. {guard}",
                      run(f"Move {installation.home} beside {os.path.basename(root)}, and correct "
                          "the cron line (`jobs.py crontab`). Until then see that this is refused "
                          "(403 or 404), with your domain:",
                          f"curl -I https://example.org{_address(exposed, root)}"))
        return
    for name, path in places.items():
        page = next((os.path.join(above, page) for above in _above(path) for page in FRONT_PAGES
                     if os.path.exists(os.path.join(above, page))), None)
        if page:
            yield warning(f"{name} ({path}) lies in a folder with {os.path.basename(page)} "
                          f"({page})", "That looks like a web site's folder; its files may be "
                          "handed out to anybody.",
                          "If a web server serves that folder, move this one out of it.")
            return
    yield ok("nothing private is below a web root, judging by the names of folders")


def _below(path: str) -> str | None:
    """The folder above it (or itself) that is a web root by its name."""
    for each in (os.path.abspath(path), os.path.realpath(path)):
        found = WEB_ROOTS.search(each)
        if found:
            return each[:found.end()]
    return None


def _above(path: str) -> list[str]:
    found, path = [], os.path.realpath(path)
    while os.path.dirname(path) != path:
        path = os.path.dirname(path)
        found.append(path)
    return found


def _refuses(path: str, root: str) -> bool:
    """Whether a .htaccess between the path and the root refuses everybody."""
    for folder in [path, *_above(path)]:
        try:
            with open(os.path.join(folder, ".htaccess"), encoding="utf-8",
                      errors="replace") as file:
                text = file.read().lower()
        except OSError:
            text = ""
        if "require all denied" in text or "deny from all" in text:
            return True
        if folder == root:
            break
    return False


def _address(exposed: dict, root: str) -> str:
    folder = exposed.get("config.ini") or next(iter(exposed.values()))
    inside = os.path.relpath(os.path.abspath(folder), root)
    return ("" if inside == "." else "/" + inside) + ("/config.ini" if "config.ini" in exposed
                                                      else "/")


def locks(installation):
    """A lock file keeps a second run out, on the file system that it lies on."""
    core, state = installation.section("core"), installation.state_dir
    if not os.access(state, os.W_OK):           # reported by private_folders
        raise NothingToAsk
    kind = file_system(installation.mounts, state)
    fix = ("Move [core] state_dir to a local disk; with a MySQL database, or set [core] lock = "
            "database.")
    with tempfile.TemporaryFile(dir=state) as one:
        again = os.open(f"/proc/self/fd/{one.fileno()}",
                        os.O_RDWR) if os.path.exists("/proc/self/fd") else None
        try:
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if again is not None and _takes(again):
                yield problem(f"Two locks on one file in {state} are both granted "
                              f"({kind or 'unknown'} file system)",
                              "Two runs of a job could work at the same time.", fix)
                return
        except OSError as error:
            say = note if core.lock == "database" else problem
            yield say(f"The file system of {state} has no locks ({error.strerror})",
                      "They keep two runs of a job apart.", fix)
            return
        finally:
            if again is not None:
                os.close(again)
    if kind in NETWORK and core.lock == "file":
        yield warning(f"{state} is on a network file system ({kind}), and [core] lock = file",
                      "There a lock may hold on this host alone, or outlive a killed run.", fix)
    else:
        yield ok(f"lock files work in {state}" + (f" ({kind})" if kind else ""))
    database = _database_file(installation)
    if database and file_system(installation.mounts, database) in NETWORK:
        yield problem(f"The SQLite file {database} is on a network file system",
                      "SQLite needs locks that such a file system does not keep: the file can be "
                      "spoilt.", "Move it to a local disk, or use MySQL.")


def _takes(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def room(installation):
    """Bytes and files that still fit on each disk."""
    seen: set = set()
    for name, path in _places(installation).items():
        if os.stat(path).st_dev in seen or is_read_only(path):
            continue
        seen.add(os.stat(path).st_dev)
        disk, left = os.statvfs(path), free(path)
        if left < TIGHT:
            say = problem if left < LITTLE else warning
            yield say(f"{size(left)} are free on the disk of {name} ({path})",
                      "Full, a run ends with an error, and mail that comes in cannot be kept.",
                      "Make room: `du -sh *` in your home folder shows what takes it.")
        elif disk.f_files and disk.f_favail < FEW_INODES:
            yield warning(f"Only {disk.f_favail} more files fit on the disk of {name} ({path})",
                          "Each stored message is a file.",
                          "Remove old files, such as sessions and caches of your app.")
        else:
            yield ok(f"{size(left)} free for {name}")


def a_file(installation):
    """A file can be written in full and is private, also where an account has a quota; and its time
    is ours."""
    state = installation.state_dir
    if not os.access(state, os.W_OK):           # reported by private_folders
        raise NothingToAsk
    try:
        with tempfile.NamedTemporaryFile(dir=state, prefix="doctor.") as file:
            file.write(bytes(TEST_BYTES))
            file.flush()
            os.fsync(file.fileno())
            status = os.fstat(file.fileno())
    except OSError as error:
        if free(state) < 2 * TEST_BYTES:         # reported by room
            raise NothingToAsk from None
        used_up = error.errno in (errno.ENOSPC, errno.EDQUOT)
        yield problem(f"A file of 1 MB cannot be written to {state}: {error.strerror}",
                      "The disk has room, so the quota of this account is used up." if used_up else
                      "Locks, logs and messages are written there.",
                      "Make room: `du -sh *` in your home folder shows what takes it; or ask your "
                      "host for more." if used_up else "Ask your host what that means for this "
                      "folder, or name another in [core] state_dir.")
        return
    if status.st_mode & OTHERS:
        yield warning(f"Files in {state} get the mode {status.st_mode & 0o777:o}, whatever is "
                      "asked for",
                      "The file system keeps no modes, so others may read keys and messages.",
                      "Move [core] state_dir and [spool] dir to a usual disk.")
    ahead = datetime.fromtimestamp(status.st_mtime, timezone.utc) - installation.clock()
    if abs(ahead) > timedelta(seconds=CLOCK_SECONDS):
        yield warning(f"The clock of the file system of {state} differs from this machine's by "
                      f"{abs(ahead).total_seconds():.0f} seconds",
                      "The age of files decides which of them are removed.",
                      "Ask your host to set its clocks.")
    else:
        yield ok(f"files can be written to {state}")


def refusal(installation):
    """Each private folder refuses the web by itself, should it ever come below a web root."""
    for option, path in _folders(installation).items():
        if os.path.isdir(path) and not _refuses(path, os.sep):
            yield note(f"{option}: nothing in or above {path} refuses the web",
                       "It would be open as soon as it lay below a web root.",
                       run(f"Put a file .htaccess into {path}:", HTACCESS.rstrip()))


CHECKS = (read_only, configuration, private_folders, files_of_others, secret_files, changeable,
          web_root, refusal, locks, room, a_file)
