"""Unpacking the single file, once, into a private folder from which its next starts run: they load
what is compiled already.

`var/program/FILE.BUILD` beside the file: its name is that of the file and the hash of what is in
it, so what is there with that name is this program, and whole. `door.py` uses a folder of its own
user alone. Whatever prevents it, the program runs from memory (docs/decisions.md).
"""
from __future__ import annotations

import fcntl
import os
import shutil
import stat

from jobs_lib import folders
from jobs_lib.paths import UNPACKED

# where it is, and why it is not, in words
folder, problem = "", ""


def unpack(inside: dict, script: str, build: str) -> None:
    """Write these files, {name: bytes}, where the next start of `script` finds them. What prevents
    it is in `problem`."""
    global folder, problem
    try:
        folder = _unpack(inside, script, build)
    except BlockingIOError:             # another start unpacks it
        pass
    except OSError as error:
        problem = folders.cause(error)


def _unpack(inside: dict, script: str, build: str) -> str:
    place = os.path.join(os.path.dirname(script), UNPACKED)
    _refuse_anothers(place)
    folders.private(place)
    handle = _open_own(place)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = os.path.join(place, f"{os.path.basename(script)}.{build}")
        if not _is_usable(path):
            # The old ones first: that makes room, and what a kill leaves of them is removed by the
            # next start, which has to unpack as well.
            _remove_old(place, path)
            folders.publish(_written(inside, path), path)
        return path
    finally:
        os.close(handle)


def _refuse_anothers(place: str) -> None:
    """Make no folder among those of another user, who could not use it: root may look on."""
    while not os.path.isdir(place):
        place = os.path.dirname(place)
    if os.stat(place).st_uid != os.geteuid():
        raise PermissionError(1, "it belongs to another user", place)


def _open_own(path: str) -> int:
    """A descriptor of a folder that is ours, private and no link."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(handle)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        os.close(handle)
        raise OSError(1, "it is not private to this user: remove it", path)
    return handle


def _is_usable(path: str) -> bool:
    try:
        os.close(_open_own(path))
    except OSError:
        return False
    return True


def _remove_old(place: str, path: str) -> None:
    """Remove drafts of killed processes, other programs of the same file unless they still run, and
    what is in the place of this one and may not be used."""
    start = os.path.basename(path).rpartition(".")[0]
    for name in os.listdir(place):
        old = os.path.join(place, name)
        if name.endswith(folders.DRAFT):
            _remove(old)
        elif old == path or (name.rpartition(".")[0] == start and _is_idle(old)):
            _remove(_renamed(old))


def _is_idle(path: str) -> bool:
    """Whether no process runs from this folder: each holds a lock on it."""
    try:
        handle = _open_own(path)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _renamed(path: str) -> str:
    """Out of use before the first of its files is removed."""
    draft = f"{path}.{os.urandom(8).hex()}{folders.DRAFT}"
    os.rename(path, draft)
    return draft


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        os.unlink(path)


def _written(inside: dict, path: str) -> str:
    """A folder with all of it on the disk, also after a power cut."""
    draft = f"{path}.{os.urandom(8).hex()}{folders.DRAFT}"
    try:
        for name in sorted(inside):
            target = os.path.join(draft, *name.split("/"))
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            with folders.new_file(target) as file:
                file.write(inside[name])
                file.flush()
                os.fsync(file.fileno())
        for above, _, _ in os.walk(draft):
            _keep(above)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path           # "No space left on device" alone helps nobody
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return draft


def _keep(path: str) -> None:
    """Make a folder private whatever the umask is, and store its names on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fchmod(handle, 0o700)
        os.fsync(handle)
    except OSError as error:
        if error.errno not in folders.NO_FOLDERS:
            raise
    finally:
        os.close(handle)
