"""The URL of a database as text: its parts, or what was expected. No driver is loaded for it.

ValueError quotes nothing of a URL: it may be half of a password.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

TLS = ("off", "on", "ca", "verify")           # what ?tls= may be, the most careful last
PARAMETERS = {"unix_socket", "ssl_ca", "tls"}
FORM = "mysql://user:password@host:3306/name"

Server = namedtuple("Server", "user password host port socket ca tls database")
Server.__doc__ = """As the URL says it, decoded; what it leaves out is "", or 0 for the port."""


def check(url: str) -> None:
    """ValueError for what is no URL of a database, or one whose parts make no sense."""
    scheme, separator, _ = url.partition("://")
    if separator and scheme == "sqlite":
        file(url)
    elif separator and scheme in ("mysql", "mariadb"):
        server(url)
    else:
        raise ValueError("expected sqlite:///file.db or mysql://user:password@host/name")


def file(url: str) -> tuple[str, str]:
    """(path, parameters) of `sqlite:///relative.db?vfs=...` or `sqlite:////absolute.db`."""
    path, _, parameters = url[len("sqlite://"):].partition("?")
    if len(path) < 2 or path[0] != "/" or (parameters and not parameters.startswith("vfs=")):
        raise ValueError("expected sqlite:///file.db or sqlite:////folder/file.db")
    return path[1:], parameters


def server(url: str) -> Server:
    """The parts of `mysql://user:password@host:3306/name?...`; a password may hold `@`, `/` and
    `:` as they are."""
    from urllib.parse import parse_qsl, unquote

    login, _, rest = url.partition("://")[2].rpartition("@")
    user, _, password = login.partition(":")
    rest, _, parameters = rest.partition("?")
    address, _, database = rest.partition("/")
    host, colon, port = address.partition(":")
    if not user or not database or "/" in database:
        raise ValueError(f"expected {FORM}, the name without a slash")
    if colon and not is_port(port):
        raise ValueError(f"expected a port of 1-65535 in {FORM}")
    options = dict(parse_qsl(parameters, keep_blank_values=True))
    tls, ca = options.get("tls", ""), options.get("ssl_ca", "")
    if not PARAMETERS >= options.keys() or ("tls" in options and tls not in TLS):
        raise ValueError(f"expected nothing after {FORM} but ?unix_socket=/path, ?ssl_ca=/path or "
                         f"?tls={'|'.join(TLS)}")
    if tls in ("off", "on") and ca:
        raise ValueError(f"expected ?ssl_ca=/path without &tls={tls}, which verifies nothing: keep "
                         "one of the two")
    if tls == "ca" and not ca:
        raise ValueError("expected &ssl_ca=/path with ?tls=ca: the file with the authority that "
                         "signed the certificate")
    return Server(unquote(user), unquote(password), host, int(port or 0),
                  options.get("unix_socket", ""), ca, tls, unquote(database))


def is_port(text: str) -> bool:
    """Whether there can be such a port: 1-65535."""
    return text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536
