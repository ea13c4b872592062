"""A URL as its owner wrote it, taken apart and checked; what is not plainly `http` or `https` is
refused.

Python's own `urlsplit` drops tabs and line ends without a word, and reads some URLs in another way
than browsers do. Here whatever two readers may see differently is refused, so that what is judged
is what is called.
"""
from __future__ import annotations

import re

from jobs_lib.hostnames import LONGEST, exact_ascii
from jobs_lib.records import namedtuple

# host: ASCII, lower case, no brackets and no dot at its end; header: as the Host header says it
Target = namedtuple("Target", "secure host port path header")

SCHEMES = {"http": (False, 80), "https": (True, 443)}
MOST_CHARACTERS = 2000
# from here on any; below only 80 and 443, so that nobody makes us talk to a mail server
OPEN_PORTS = 1024

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_SHOWN = re.compile(r"(?:\[[^\]]*\]|[^:]*)(?::[0-9]*)?\Z")        # a host and maybe a port
_PLAIN = frozenset(b"!#$%&'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_"
                   b"abcdefghijklmnopqrstuvwxyz~")


class UrlError(ValueError):
    """A URL that we do not call; says why, in words for its owner."""


def parse(url: str) -> Target:
    """Take a URL apart. UrlError for everything that is no address of an endpoint."""
    if len(url) > MOST_CHARACTERS:
        raise UrlError(f"the URL of this endpoint is longer than {MOST_CHARACTERS} characters")
    if not url.isprintable() or " " in url or "\\" in url:
        raise UrlError("the URL of this endpoint holds a space, a backslash or a control character")
    scheme, slashes, rest = url.partition("://")
    if not slashes or scheme.lower() not in SCHEMES:
        raise UrlError("the URL of this endpoint does not begin with http:// or https://")
    secure, usual = SCHEMES[scheme.lower()]
    authority, path = _split(rest)
    if "@" in authority:
        raise UrlError("the URL of this endpoint holds a user name")
    host, port = _host_and_port(authority)
    number = _port(port, usual)
    if host.startswith("["):
        name = _six(host[1:-1])
        header = f"[{name}]"
    else:
        name = header = _name(host)
    return Target(secure, name, number, _path(path), header if number == usual
                  else f"{header}:{number}")


def host_of(url: str) -> str:
    """The host of a URL in one spelling, or "" when we do not call it."""
    return server_of(url)[0]


def server_of(url: str) -> tuple[str, int]:
    """The host and the port of a URL, or ("", 0) when we do not call it."""
    try:
        target = parse(url)
    except UrlError:
        return "", 0
    return target.host, target.port


def shown(url: str) -> str:
    """A URL as its owner may be shown it: without its query and its user name, which may hold a
    secret."""
    before, slashes, rest = url.partition("://")
    if not slashes:
        before, rest = "", url
    authority, path = _split(rest)
    authority, path = authority.rpartition("@")[2], path.partition("?")[0]
    if not _SHOWN.match(authority):
        # a password with a `/`, `?` or `#` in it: nothing behind the colon
        authority, path = authority.partition(":")[0], ""
    return before + slashes + authority + path


def _split(rest: str) -> tuple[str, str]:
    """(the authority, the path with the query) of what is behind the scheme; no fragment."""
    end = next((at for at, sign in enumerate(rest) if sign in "/?#"), len(rest))
    return rest[:end], rest[end:].partition("#")[0]


def _host_and_port(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, bracket, port = authority.partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise UrlError("the URL of this endpoint has no host that can be called")
        return host + bracket, port
    host, colon, port = authority.partition(":")
    return host, colon + port


def _port(text: str, usual: int) -> int:
    digits = text[1:]
    if not digits:                      # none, or an empty one as RFC 3986 allows it
        return usual
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 6):
        raise UrlError("the URL of this endpoint has an invalid port")
    port = int(digits)
    if port in (80, 443) or OPEN_PORTS <= port < 65536:
        return port
    raise UrlError(f"the URL of this endpoint has the port {port}: allowed are 80, 443 and "
                   f"{OPEN_PORTS}-65535")


def _six(text: str) -> str:
    import ipaddress
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise UrlError("the URL of this endpoint has no host that can be called") from None
    if "%" in text:
        raise UrlError("the URL of this endpoint has no host that can be called")
    return str(address)


def _name(host: str) -> str:
    try:
        host = exact_ascii(host).lower()
    except ValueError:
        raise UrlError("the URL of this endpoint has a host name without a safe ASCII form: write "
                       "it as xn--...") from None
    host = host[:-1] if host.endswith(".") else host
    if not host or len(host) > LONGEST or not all(map(_LABEL.match, host.split("."))):
        raise UrlError("the URL of this endpoint has an invalid host name")
    return host


def _path(path: str) -> str:
    path = path if path.startswith("/") else "/" + path
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}"
                   for byte in path.encode("utf-8", "replace"))
