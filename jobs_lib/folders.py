"""Which program this is, where it is, and how it keeps its files: private folders and files, 0700
and 0600, refusing the web by themselves."""
from __future__ import annotations

import os
import sys

from .errors import ConfigError, JobsError, NoAccess

VERSION = "0.1.0"
# the folder of jobs.py, jobs_lib and vendor
HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPT = os.path.join(HOME, "jobs.py")
VENV = os.path.join(HOME, ".venv", "")  # the packages, if install.sh was run
WAY = "run `./install.sh`, or upload the folder vendor of the bundle again"
# whose files the jobs use
USED = (("core", "state_dir"), ("core", "log_dir"), ("spool", "dir"), ("export", "dir"))
DRAFT = ".part"  # at the end of the name of what is being written: NAME.<hex>.part
HTACCESS = "Require all denied\n"


# The program

def python() -> str:
    """For lines of cron: the Python that has the packages, else this one."""
    own = os.path.join(VENV, "bin", "python")
    return own if os.access(own, os.X_OK) else sys.executable


def way_to_packages(way: str = WAY) -> str:
    """What to do where one is missing: another Python, where .venv is for that, or the `way`."""
    if python().startswith(VENV) and VENV not in ":".join(sys.path):
        return f"run it with {python()} jobs.py"
    return way


def program(config_path: str) -> str:
    """What a command line in HOME begins with; --config for another than the file in there."""
    path = os.path.abspath(config_path)
    start = ".venv/bin/python jobs.py" if python().startswith(VENV) else "python3 jobs.py"
    if path == os.path.join(HOME, "config.ini"):
        return start
    import shlex
    return f"{start} --config {shlex.quote(path)}"


# Its files

def private(path: str) -> str:
    """The folder, made 0700 if it is not there, as are those above it; with a `.htaccess` that
    refuses the web, before anything else is in it."""
    if os.path.isdir(path) and any(not name.endswith(DRAFT) for name in os.listdir(path)):
        return path
    above = os.path.dirname(path)
    if above and not os.path.isdir(above):
        private(above)
    os.makedirs(path, mode=0o700, exist_ok=True)
    refuse_web(path)
    return path


def refuse_web(folder: str) -> None:
    """Write a `.htaccess` where there is none, into a folder that somebody else has made, too."""
    path = os.path.join(folder, ".htaccess")
    if not os.path.lexists(path):
        write(path, HTACCESS)


def owner_words(path: str) -> str:
    """Whose a file is that this user may not use, and how to get out of it."""
    path = os.path.abspath(path)
    there = _nearest(path)
    ours, owner = user_name(os.geteuid()), user_name(os.lstat(there).st_uid)
    if owner == ours:
        return f"its permissions do not allow it: run `chmod u+rwX {there}`"
    fix = f"if nothing else uses it, `chown -R {ours} {there}` as root"
    if there != path:  # of the system, perhaps: it is not to be given away
        fix = "or name another folder"
    return (f"{'it' if there == path else there} belongs to {owner}, and the jobs run as {ours}: "
            f"always run them as the same user; {fix}")


def _nearest(path: str) -> str:
    """The path, or the folder above it in which it would be made."""
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def unusable(config) -> list[str]:
    """A sentence for each folder of which this user cannot use something: what, why, the fix."""
    found = []
    for section, option in USED:
        try:
            folder = getattr(config.section(section), option)
        except ConfigError:  # reported elsewhere
            continue
        if not os.path.isdir(_nearest(folder)):
            found.append(f"[{section}] {option}: {_nearest(folder)} is not a folder: name one")
            continue
        for path in _paths(folder, is_ours=section == "core"):
            needed = os.R_OK | os.W_OK | (os.X_OK if os.path.isdir(path) else 0)
            if not os.access(_nearest(path), needed):
                found.append(f"[{section}] {option}: {path} cannot be used: {owner_words(path)}")
                break
    return found


def _paths(folder: str, is_ours: bool):
    """The folder, and where the jobs write all that is in it, its files, too."""
    if is_ours or os.path.lexists(folder):  # it is made when it is needed
        yield folder
    for path, folders, files in os.walk(folder) if is_ours else ():
        yield from [os.path.join(path, name) for name in sorted([*folders, *files])]


def no_access(error: Exception) -> Exception:
    """The same error; an OSError as NoAccess, which says what to do."""
    if not isinstance(error, OSError):
        return error
    name = error.filename
    if isinstance(error, PermissionError) and isinstance(name, str):
        return NoAccess(f"{name} cannot be used: {owner_words(name)}")
    return NoAccess(f"{name} cannot be used: {error.strerror}" if name else
                    f"{error.strerror or error}")


def user_name(number: int) -> str:
    """The name of a user, or his number where he has none."""
    import pwd
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def own(path: str) -> str:
    """`private`, for the folder that decides which run may work: NoAccess unless it is ours."""
    if os.stat(private(path)).st_uid != os.geteuid():
        raise NoAccess(f"{path} cannot be used: {owner_words(path)}")
    return path


def open_own(path: str, flags: int) -> int:
    """A descriptor of a private file of ours, made where `flags` say so; never what a link leads
    to ("Too many levels of symbolic links")."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def new_file(path: str):
    """A private file that was not there, to write and to read; never by a link."""
    return open(path, "x+b", opener=open_own)


def publish(draft: str, path: str) -> None:
    """Give a finished file its name, for good: also after a power cut."""
    os.rename(draft, path)
    handle = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:  # noqa: SIM105  contextlib is not loaded otherwise
        os.fsync(handle)
    except OSError:  # a file system that does this for files alone
        pass
    os.close(handle)


def write(path: str, text: str | bytes, mode: int = 0o600) -> None:
    """Write a private file, or one with a less private `mode`, so that a reader sees all of it or
    nothing, also after a power cut."""
    # nobody can guess its name, and so have put a link there before
    draft = f"{path}.{os.urandom(8).hex()}{DRAFT}"
    try:
        with new_file(draft) as file:
            if mode != 0o600:
                os.fchmod(file.fileno(), mode)  # whatever the umask is: a web server reads it
            file.write(text.encode() if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        publish(draft, path)
    except BaseException as error:
        # a full disk, the end of the time: a half file is of no use
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path  # "No space left on device" alone helps nobody
        if os.path.exists(draft):
            os.unlink(draft)
        raise


def kept(path: str, make) -> str:
    """The text of a file that is made once, by the first of several processes."""
    if not os.path.exists(path):
        private(os.path.dirname(path))
        ours = f"{path}.{os.urandom(8).hex()}{DRAFT}"
        write(ours, f"{make()}\n")
        try:
            os.link(ours, path)
        except OSError:
            if not os.path.exists(path):  # a file system without hard links
                os.rename(ours, path)
        if os.path.exists(ours):
            os.unlink(ours)
    # each run reads one: as a text file it takes four times as long
    with open(path, "rb", buffering=0) as file:
        return file.read().decode().strip()


def mark_folder(folder: str, marker: str, owner: str, option: str) -> None:
    """Make the folder, private, and write into the file `marker` which database (its id) has the
    rows of its files. JobsError when it is marked for another."""
    path = os.path.join(private(folder), marker)
    marked = kept(path, lambda: owner)
    if marked != owner and all(name.startswith(".") for name in os.listdir(folder)):
        # a first try with another database left nothing in it
        write(path, owner + "\n")
    elif marked != owner:
        raise JobsError(f"{path} says that this folder belongs to another database. Correct [core] "
                        f"database or {option}; if that database is lost, restore your backup. If "
                        "it is gone for good, delete that file and run `jobs.py migrate`")


def installation(state_dir: str) -> str:
    """The id of this installation: never copy it to another host."""
    return kept(os.path.join(state_dir, "installation"), lambda: os.urandom(8).hex())


def secret_key(state_dir: str, configured: str, make: bool = True) -> str:
    """`[core] secret_key`, or the one made once into `state_dir/secret`; with `make` off, a passing
    one if none is."""
    path, passing = os.path.join(state_dir, "secret"), os.urandom(32).hex()
    if configured or not (make or os.path.exists(path)):
        return configured or passing
    try:
        return kept(path, lambda: passing)
    except OSError as error:
        raise NoAccess(f"the installation's key cannot be kept: {no_access(error)}: fix that, or "
                       "set [core] secret_key") from None


def derived(key: str, label: str) -> bytes:
    """The key for one purpose, from the installation's."""
    import hmac
    return hmac.digest(key.encode(), label.encode(), "sha256")
