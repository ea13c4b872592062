"""What a store of archives is, and the URL of one.

A store has

    place             where it is, in words and without a login
    put(name, data)   write a file under a temporary name, made durable, then rename it
    read(name)        its bytes
    has(name)         whether it is there
    remove(name)      delete it under both names; a missing one is fine

All that fails is an ArchiveError, one sentence that names the place. Names are ours: letters,
digits, dots and dashes, and none is used twice.
"""
from __future__ import annotations

from jobs_lib.errors import JobsError
from jobs_lib.records import namedtuple

PARTIAL = ".part"            # at the end of a temporary name
PORT = 21
EXPECTED = ("expected ftps://user:password@host:21/folder; in user and password write % as %25, "
            "@ as %40, : as %3A, / as %2F")

Login = namedtuple("Login", "user password host port folder place")


class ArchiveError(JobsError):
    """The store refused, broke off, or does not hold what it should."""


class Store:
    """What both kinds of stores share."""

    place: str

    def location(self, name: str) -> str:
        """A file's path or URL, without a login: what `audit_archives.location` holds."""
        return f"{self.place}/{name}"


def place_of(section) -> str:
    """Where the store is, without a login; nothing is opened."""
    return parse_url(section.store).place if "://" in section.store else section.store


def parse_url(url: str) -> Login:
    """The parts of `ftps://user:password@host:21/folder`, decoded. ValueError says what was
    expected."""
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(url if url.isprintable() else "")
        port = PORT if parts.port is None else parts.port
    except ValueError:
        raise ValueError(EXPECTED) from None
    user, password, folder = (unquote(part or "") for part in (
        parts.username, parts.password, parts.path[1:].rstrip("/")))
    if (parts.scheme != "ftps" or not user or parts.password is None or ":" in parts.password
            or not parts.hostname or not port or parts.query or parts.fragment
            or not f"{user}{password}{folder}".isprintable()):
        raise ValueError(EXPECTED)
    place = f"ftps://{parts.netloc.rpartition('@')[2]}/{folder}".rstrip("/")
    return Login(user, password, parts.hostname, port, folder, place)
