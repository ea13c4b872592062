"""Where archives are kept: a folder, or a server that speaks FTP over TLS. Both keep to the same
few methods.

    store.place                    where it is, in words and without a login
    store.location(name)           the same with a file's name: what `audit_archives.location` holds
    store.put(name, blocks)        write under a passing name, made durable, then give it its name
    store.read(name)               its bytes, block by block
    store.has(name)                whether it is there
    store.remove(name)             remove it, and what was left under its passing name; nothing there is no error
    store.close()                  its failing changes nothing

Everything else that fails is an ArchiveError, one sentence that names the place. Names are ours:
letters, digits, dots and dashes.
"""
from __future__ import annotations

from collections import namedtuple

from jobs_lib.errors import JobsError
from jobs_lib.folders import shared

PARTIAL = ".part"            # at the end of a passing name
BLOCK = 65536
PORT = 21
EXPECTED = "expected ftps://user:password@host:21/folder"

Login = namedtuple("Login", "user password host port folder")


class ArchiveError(JobsError):
    """The store refused, broke off, or does not hold what it should."""


def place_of(section) -> str:
    """Where the store is, without a login; nothing is opened."""
    return place_of_url(parse_url(section.store)) if "://" in section.store else section.store


def misplaced(store: str, section_of) -> str | None:
    """Why archives must not be in this folder, in a sentence: what is in the others is swept,
    rotated, replaced.

    `section_of("core")` has a section's values.
    """
    if not store or "://" in store:
        return None
    others = [(f"[{section}] {option}", getattr(section_of(section), option)) for section,
              option in (
        ("spool", "dir"), ("core", "state_dir"), ("core", "log_dir"), ("export", "dir"))]
    wrong = shared(store, others)
    return wrong and f"[archive] store = {store}: {wrong}; give archives a folder of their own"


def place_of_url(login: Login) -> str:
    """The URL without its login, and without the usual port."""
    host = f"[{login.host}]" if ":" in login.host else login.host
    port = f":{login.port}" if login.port != PORT else ""
    return f"ftps://{host}{port}/{login.folder}".rstrip("/")


def parse_url(url: str) -> Login:
    """The parts of `ftps://user:password@host:21/folder`, decoded. ValueError says what was
    expected."""
    from urllib.parse import unquote

    scheme, _, rest = url.partition("://")
    who, at, rest = rest.rpartition("@")
    server, _, folder = rest.partition("/")
    user, colon, password = who.partition(":")
    host, bracket, port = server.rpartition("]")                # [::1]:21
    if bracket:
        host, port = host.lstrip("["), port.lstrip(":")
    else:
        host, _, port = server.partition(":")
    if scheme.lower() != "ftps" or not at or not user or not colon or not host:
        raise ValueError(EXPECTED)
    if port and not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port)
                     < 65536):
        raise ValueError(f"{EXPECTED}, the port 1-65535")
    if "?" in rest or "#" in rest or ":" in password or "/" in who:
        raise ValueError(f"{EXPECTED}; in user and password write % as %25, @ as %40, : as %3A, / "
                         "as %2F")
    found = Login(unquote(user), unquote(password), host, int(port or PORT),
                  unquote(folder).rstrip("/"))
    if not all(part.isprintable() for part in (found.user, found.password, found.host,
                                               found.folder)):
        raise ValueError(f"{EXPECTED}, printable characters only")
    return found
