"""`python watched.py WORDS`: `jobs.py WORDS` in a process that may connect to nothing, and tells
what it tried.

JOBS_WATCHED names the file for the report: a JSON list of `[event, detail]`, of every connection,
name look-up and file opened to be written or made. JOBS_WATCHED_ALLOWED is the one address (a
socket's path, or host:port) that it may connect to, the test's database; a host alone allows each
of its ports.
"""
from __future__ import annotations

import atexit
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.support import product

REPORT, ALLOWED = os.environ["JOBS_WATCHED"], os.environ.get("JOBS_WATCHED_ALLOWED")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
           "os.chmod", "os.chown", "os.utime", "shutil.rmtree", "subprocess.Popen", "os.system",
           "os.exec")
tried: list = []


def _spelt(address) -> str:
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)


def watch(event: str, args: tuple) -> None:
    """Note what changes the world or reaches out of it; refuse every connection but the one
    allowed."""
    if event in ("socket.connect", "socket.sendto"):
        if ALLOWED is not None and ALLOWED in (_spelt(args[1]), _spelt(args[1]).rpartition(":")[0]):
            return
        tried.append([event, _spelt(args[1])])
        raise PermissionError(f"no connection is allowed here: {args[1]}")
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0].decode() if isinstance(args[0], bytes) else str(args[0])
        if ALLOWED is None or host != ALLOWED.partition(":")[0]:
            tried.append([event, host])
    elif event in CHANGES or (event == "open" and _writes(args)):
        tried.append([event, _where(event, args)])


def _writes(args: tuple) -> bool:
    path, _, flags = args
    # one that was open before
    return bool(flags & WRITING) and path != os.devnull and not isinstance(path, int)


def _where(event: str, args: tuple) -> str:
    """The path, also of what is named by an open file or below an open folder."""
    if isinstance(args[0], int):
        return os.readlink(f"/proc/self/fd/{args[0]}")
    below = args[1] if event in ("os.remove", "os.rmdir") else -1
    return os.path.join(os.readlink(f"/proc/self/fd/{below}") if below >= 0 else "", str(args[0]))


@atexit.register
def report() -> None:
    """What was tried, at the end of the process."""
    found = list(tried)                 # without the report itself
    with open(REPORT, "w", encoding="utf-8") as file:
        json.dump(found, file)


sys.addaudithook(watch)
sys.exit(product.main(sys.argv[1:]))
