"""One module of words, never of rules, for each kind of database, and what a URL says.

Each has its `name`, the driver's errors as the tuple `Error`, and, for a connection of the driver,
`raw`, to a target as `parse` returns it:

    connect(target, readonly, create, seconds) -> raw, in autocommit; None: no limit
    is_open(raw), in_transaction(raw), interrupt(raw, target)
    limit(raw, target, seconds)                 no later call takes much longer
    execute(raw, sql, values) -> cursor         both in the driver's notation
    translated(error, target) -> DatabaseError  the driver's error in our words

The rest is SQL, as text or as a template, each named for what it says.
"""
from __future__ import annotations

import os

from jobs_lib.records import namedtuple

Batches = namedtuple("Batches", "seconds least most pause share")
Batches.__doc__ = """How many rows are deleted at once.

seconds      how long a batch should hold its locks
least, most  rows in a batch
pause        seconds after it, at least
share        of the batch's own time that the pause lasts
"""

# A column's type, by the word for it in database/schema/tables.py, as each database has it; those
# that are missing differ.
TYPES = {
    "ref": "BIGINT", "int": "INTEGER", "big": "BIGINT", "flag": "TINYINT", "real": "DOUBLE",
    "word": "VARCHAR(64)", "hash": "VARCHAR(64)", "label": "VARCHAR(190)", "path": "VARCHAR(500)",
    "address": "VARCHAR(254)", "name": "VARCHAR(255)", "line": "VARCHAR(2000)",
    "date": "DATE", "time": "DATETIME", "now": "DATETIME",
}
MIGRATE = ": run `jobs.py migrate`"  # where a table or a column is missing
File = namedtuple("File", "path timeout")
File.__doc__ = "An SQLite database; `timeout`: seconds to wait for another writer."
Server = namedtuple("Server", "user password host port socket ca tls database timeout")
Server.__doc__ = """Where a server is and how to sign in: a URL, decoded.

socket   "" for TCP
tls      "off", "ca" (by the authority `ca`, whatever the server's name), "verify" (the name, too)
timeout  seconds to wait for another transaction's locks
"""
FORM = "mysql://user:password@host:3306/name"
PARAMETERS = {"unix_socket", "ssl_ca", "tls"}
TLS = ("off", "ca", "verify")
LOOPBACK = ("localhost", "127.0.0.1")
# Where a server on this machine listens, if `localhost` is all that a URL says: many hosts grant
# `user@localhost` only, and listen on no port. Never in a folder where anybody may make one.
SOCKETS = ("/var/lib/mysql/mysql.sock", "/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock")


def parse(url: str, base: str = ".", timeout: float = 1.0):
    """Where the database is, as File or Server. A relative file counts from `base`.

    ValueError for what is no URL of a database, or one whose parts make no sense. It quotes nothing
    of the URL, which may be half of a password. No driver is loaded.
    """
    scheme, separator, _ = url.partition("://")
    if separator and scheme == "sqlite":
        path = url[len("sqlite://"):]
        if len(path) < 2 or path[0] != "/" or "?" in path:
            raise ValueError("expected sqlite:///file.db or sqlite:////folder/file.db")
        return File(os.path.join(os.path.abspath(base), path[1:]), timeout)
    if separator and scheme in ("mysql", "mariadb"):
        return _server(url, timeout)
    raise ValueError("expected sqlite:///file.db or mysql://user:password@host/name")


def file_of(url: str, base: str) -> str:
    """The file of an SQLite database, whether it is there or not; "" for one on a server."""
    return getattr(parse(url, base), "path", "")


def _server(url: str, timeout: float) -> Server:
    """`mysql://user:password@host:3306/name`; a password may hold `@`, `/` and `:` as they are.

    After it `?unix_socket=/path`, or `?ssl_ca=/path` and `?tls=`. Elsewhere than on this machine,
    and with a CA, the server is verified unless that says otherwise.
    """
    from urllib.parse import parse_qsl, unquote

    login, _, rest = url.partition("://")[2].rpartition("@")
    user, _, password = login.partition(":")
    rest, _, parameters = rest.partition("?")
    address, _, database = rest.partition("/")
    host, colon, port = address.partition(":")
    if not user or not database or "/" in database:
        raise ValueError(f"expected {FORM}, the name without a slash")
    if colon and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"expected a port of 1-65535 in {FORM}")
    options = dict(parse_qsl(parameters, keep_blank_values=True))
    path, ca = options.get("unix_socket", ""), options.get("ssl_ca", "")
    tls = options.get("tls", "verify")
    if not PARAMETERS >= options.keys() or tls not in TLS:
        raise ValueError(f"expected nothing after {FORM} but ?unix_socket=/path, ?ssl_ca=/path or "
                         f"?tls={'|'.join(TLS)}")
    if tls == ("off" if ca else "ca"):
        raise ValueError("expected ?ssl_ca=/path, the file with the authority that signed the "
                         "certificate, with &tls=ca, and not with &tls=off")
    if host in ("", "localhost") and not (path or port or ca or "tls" in options):
        path = next((each for each in SOCKETS if os.path.exists(each)), "")
    if path or ("tls" not in options and not ca and (host or "localhost") in LOOPBACK):
        tls = "off"
    return Server(unquote(user), unquote(password), host or "localhost", int(port or 3306), path,
                  "" if path else ca, tls, unquote(database), timeout)
