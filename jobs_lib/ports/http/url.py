"""A URL as its owner wrote it, taken apart and checked; what is not plainly `http` or `https` is
refused.

Whatever two readers may see differently is refused, so that what is judged is what is called:
Python's own `urlsplit` drops tabs and line ends without a word.
"""
from __future__ import annotations

import re

from jobs_lib.records import namedtuple
from jobs_lib.text.addresses import LONGEST

# host: ASCII, lower case, no brackets and no dot at its end; header: as the Host header says it
Target = namedtuple("Target", "secure host port path header")

PORTS = {"http": 80, "https": 443}
MOST_CHARACTERS = 2000
# from here on any; below only 80 and 443, so that nobody makes us talk to a mail server
OPEN_PORTS = 1024

# scheme, authority, path with the query; the fragment is dropped
_URL = re.compile(r"(?is)(https?)://([^/?#]*)([^#]*)(?:#.*)?\Z")
# a name, or an IPv6 address in brackets, and a port, which may be empty (RFC 3986)
_AUTHORITY = re.compile(r"(?:\[([^\]%]+)\]|([^:\[\]@]+))(?::([0-9]{0,5}))?\Z")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_PLAIN = "!$%&'()*+,/:;=?@[]"  # stands in a path as it is, as letters and figures do


class UrlError(ValueError):
    """A URL that we do not call; says why, in words for its owner."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the URL of this endpoint {why}")


def parse(url: str) -> Target:
    """Take a URL apart. UrlError for everything that is no address of an endpoint."""
    from urllib.parse import quote  # most runs read no URL
    if len(url) > MOST_CHARACTERS:
        raise UrlError(f"is longer than {MOST_CHARACTERS} characters")
    if not url.isprintable() or " " in url or "\\" in url:
        raise UrlError("contains a space, a backslash or a control character")
    parts = _URL.match(url)
    if not parts:
        raise UrlError("does not begin with http:// or https://")
    scheme, place, path = parts[1].lower(), _AUTHORITY.match(parts[2]), parts[3]
    if not place:
        raise UrlError("has no host that can be called, contains a user name, or has an invalid "
                       "port")
    port = int(place[3] or PORTS[scheme])
    if port not in PORTS.values() and not OPEN_PORTS <= port < 65536:
        raise UrlError(f"has the port {port}: allowed are 80, 443 and {OPEN_PORTS}-65535")
    host = _host(*place.group(1, 2))
    header = f"[{host}]" if place[1] else host
    path = quote(path, _PLAIN)
    return Target(scheme == "https", host, port, path if path.startswith("/") else f"/{path}",
                  header if port == PORTS[scheme] else f"{header}:{port}")


def described(url: str) -> tuple[str, str]:
    """(the host of a URL in one spelling; the URL as its owner may be shown it, without its query,
    which may hold a secret). One that we do not call may hold one anywhere."""
    try:
        target = parse(url)
    except UrlError:
        return "", "a URL that cannot be called"
    path = target.path.partition("?")[0]
    return target.host, f"http{'s' * target.secure}://{target.header}{path}"


def _host(six: str | None, name: str) -> str:
    """One spelling of an IPv6 address, or of a name."""
    import ipaddress
    try:
        if six:
            return str(ipaddress.IPv6Address(six))
        host = name.lower().removesuffix(".")
        labels = host.split(".")
        if name.isascii() and len(host) <= LONGEST and all(map(_LABEL.match, labels)):
            return host
    except ValueError:
        pass
    raise UrlError("has no host that can be called; if its name has other letters than ASCII, "
                   "write it as xn--...")
