"""Signing in to MariaDB or MySQL so that a stranger who answers in the server's place learns no
password.

Left to itself, PyMySQL sends it in clear (`mysql_clear_password`, `dialog`), or encrypted with a
key that came from the other side (`sha256_password`, `caching_sha2_password`).
docs/dev/decisions.md, "What the database's server may ask for".
"""
from __future__ import annotations

import codecs
import os
import socket
import ssl
import struct

from pymysql.connections import Connection
from pymysql.constants import CLIENT

from jobs_lib.errors import DatabaseError
from jobs_lib.folders import user_name

ACCOUNT = "mysql"  # the user that a server runs as
MARKED = "utf8_with_marks"  # a codec of ours
REFUSED = ("mysql_clear_password", "dialog", "mysql_old_password")


def sign_in(target, seconds: float, converters: dict):
    """A connection to the target. DatabaseError in our words for what is not to be trusted;
    PyMySQL's for the rest."""
    tls = {"ssl_disabled": True} if target.tls == "off" else {"ssl": _context(target)}
    raw = _Connection(
        user=target.user, password=target.password, database=target.database, host=target.host,
        port=target.port, charset="utf8mb4", client_flag=CLIENT.FOUND_ROWS, conv=converters,
        autocommit=None, local_infile=False, connect_timeout=seconds, read_timeout=seconds,
        write_timeout=seconds, defer_connect=True,
        auth_plugin_map=dict.fromkeys(REFUSED, _refuse), **tls)
    raw.where = target.socket or f"{target.host}:{target.port}"
    raw._secure = bool(target.socket)
    try:
        raw.connect(_trusted_socket(target.socket, seconds) if target.socket else None)
    except RuntimeError as error:  # it needs a package for this way to sign in
        raise DatabaseError(f"the database server {raw.where}: {error}") from None
    raw.encoding = MARKED
    return raw


def _refuse(connection) -> None:
    """In place of what would give the password away."""
    raise DatabaseError(
        f"the database server {connection.where} asks for the password itself, which is sent only "
        "through its own socket (?unix_socket=/path) or to a server that is verified "
        "(?ssl_ca=/path/to/ca.pem), and never in clear: docs/security.md")


class _Connection(Connection):
    """PyMySQL's, which takes no key from the other side: it may be anybody's."""

    where = ""
    _secure = False  # what is sent reaches the server alone

    @property
    def server_public_key(self):
        """None: so PyMySQL asks for one, and sets it here before it sends anything."""
        return None

    @server_public_key.setter
    def server_public_key(self, key) -> None:
        if key:
            _refuse(self)


def _trusted_socket(path: str, seconds: float) -> socket.socket:
    """Connected, and nothing sent yet: DatabaseError unless root, mysql or this user listens."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(seconds)
    try:
        made.connect(path)
        uid = os.stat(path).st_uid
        if hasattr(socket, "SO_PEERCRED"):
            # who listens: the path may have been another's a moment ago
            _, uid, _ = struct.unpack("3i", made.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    except OSError as error:
        made.close()
        raise DatabaseError(f"no database server listens on the socket {path} "
                            f"({error.strerror or error})") from None
    if uid not in (0, os.geteuid()) and user_name(uid) != ACCOUNT:
        made.close()
        raise DatabaseError(
            f"[core] database: user {uid} listens on the socket {path}, and not root, {ACCOUNT} or "
            "this user: the password was not sent. Name the right one by ?unix_socket=/path")
    return made


def _context(target) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=target.ca or None)
    except OSError as error:
        raise DatabaseError(f"[core] database: ?ssl_ca={target.ca}: {error.strerror}") from None
    # Certificates that MySQL makes for itself lack what RFC 5280 asks for; and one that is in the
    # file itself needs no authority.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    context.verify_flags |= getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0)
    context.check_hostname = target.tls == "verify"
    return context


def _decode(octets, errors: str = "strict") -> tuple[str, int]:
    """UTF-8, with marks for octets that are none.

    A server takes more for UTF-8 than Python does, half an emoji for one. PyMySQL decodes strictly,
    value by value, by the codec that its connection names: an error there would cost all rows of
    the answer and the connection.
    """
    return codecs.utf_8_decode(octets, "replace", True)


codecs.register({MARKED: codecs.CodecInfo(codecs.utf_8_encode, _decode, name=MARKED)}.get)
