"""Signing in to MariaDB or MySQL so that a stranger who answers in the server's place learns no
password.

A password itself, and not a hash of it, is sent only by TLS to a server whose certificate was
verified, or by a socket that root, mysql or this user listens on. Elsewhere PyMySQL would send it
to any server that asks: in clear (`mysql_clear_password`, `dialog`), or encrypted with a key that
came from the other side (`sha256_password`, `caching_sha2_password`). docs/decisions.md, "What the
database's server may ask for".
"""
from __future__ import annotations

import codecs
import os
import socket
import ssl
import struct
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT

from jobs_lib.errors import DatabaseError, NotInstalled
from jobs_lib.folders import way_to

# bytes of the packet before TLS begins; the one with the user's name is longer
SSL_REQUEST = 32
ACCOUNT = "mysql"            # the user that a server runs as
MARKED = "utf8_with_marks"   # a codec of ours
REFUSED = ("mysql_clear_password", "dialog", "mysql_old_password")


def sign_in(target, seconds: float, converters: dict):
    """A connection to the target. DatabaseError in our words for what is not to be trusted;
    PyMySQL's for the rest."""
    if target.socket and os.path.exists(target.socket):
        _judge_owner(target.socket, os.stat(target.socket).st_uid)
    tls = {"ssl": _context(target)} if target.tls != "off" else {"ssl_disabled": True}
    raw = _Connection(
        user=target.user, password=target.password, database=target.database, host=target.host,
        port=target.port,
        unix_socket=target.socket, charset="utf8mb4", client_flag=CLIENT.FOUND_ROWS,
        conv=converters,
        connect_timeout=seconds, read_timeout=seconds, write_timeout=seconds, autocommit=None,
        local_infile=False, defer_connect=True,
        auth_plugin_map=dict.fromkeys(REFUSED, _Refuse), **tls)
    raw.target = target
    try:
        raw.connect()
    except RuntimeError:             # the one thing PyMySQL says this way
        raise NotInstalled("the database server's way to sign in needs the package pynacl: "
                           + way_to("pynacl", None)) from None
    except pymysql.MySQLError as error:
        raise (_about_tls(error, target) or error) from None
    raw.encoding = MARKED
    return raw


def _find_codec(name: str):
    """UTF-8 that is read with marks for octets that are none.

    A server takes more for UTF-8 than Python does, half an emoji for one. PyMySQL decodes strictly,
    value by value, by the codec that its connection names: an error there would cost all rows of
    the answer and the connection.
    """
    if name == MARKED:
        return codecs.CodecInfo(codecs.utf_8_encode, _decode, name=MARKED)
    return None


def _decode(octets: Any, errors: str = "strict") -> tuple[str, int]:
    return codecs.utf_8_decode(octets, "replace", True)


codecs.register(_find_codec)


def _judge_owner(path: str, uid: int) -> None:
    if uid in (0, os.geteuid()):
        return
    import pwd
    try:
        if uid == pwd.getpwnam(ACCOUNT).pw_uid:
            return
    except KeyError:                 # no server on this machine, or in a container
        pass
    raise DatabaseError(f"[core] database: user {uid} listens on the socket {path}, and that is "
                        f"not root, {ACCOUNT} or this user, so the password was not sent there: is "
                        "it the server's socket? Name the right one by ?unix_socket=/path")


def _context(target) -> ssl.SSLContext:
    """TLS as `?tls=` asks for it: verified by name (verify), by authority alone (ca), not at all
    (on)."""
    if target.ca and not os.path.exists(target.ca):
        raise DatabaseError(f"[core] database: no file {target.ca}")
    try:
        context = ssl.create_default_context(cafile=target.ca)
    except ssl.SSLError:
        raise DatabaseError(f"[core] database: {target.ca} holds no certificate in PEM") from None
    # Certificates that MySQL makes for itself lack what RFC 5280 asks for.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if target.tls != "verify":
        context.check_hostname = False
    if target.tls == "on":
        context.verify_mode = ssl.CERT_NONE
    return context


def _about_tls(error: pymysql.MySQLError, target) -> DatabaseError | None:
    cause = getattr(error, "original_exception", None)
    where = f"the database server {target.host}:{target.port}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return DatabaseError(
            f"{where} shows a certificate that cannot be verified "
            f"({cause.verify_message.rstrip('.')}): add ?ssl_ca=/path/to/ca.pem to [core] "
            f"database, or {LESS}. Nothing was sent ({cause.reason})")
    if isinstance(cause, ssl.SSLError):
        return DatabaseError(f"{where}: TLS failed ({cause.reason or cause})")
    return _no_tls(target) if error.args[:1] == (2026,) else None


LESS = "?tls=on to encrypt and verify nothing, or ?tls=off to send all in clear (docs/security.md)"


def _no_tls(target) -> DatabaseError:
    return DatabaseError(f"the database server {target.host}:{target.port} offers no TLS, and "
                         "[core] database asks for it: have it switched on there, or, if all "
                         "between is your own network, add ?tls=off")


class _Connection(Connection):
    """PyMySQL's, whose every packet until the sign-in is over goes through `write_packet`."""

    target: Any = None
    _sock: Any

    def write_packet(self, payload) -> None:
        """Look at who is there, and at what would be sent."""
        if self.target.socket:
            self._judge_listener()
        encrypted = isinstance(self._sock, ssl.SSLSocket)
        if self.target.tls != "off" and not encrypted and len(payload) > SSL_REQUEST:
            # some PyMySQL would go on in clear where TLS is not offered
            raise _no_tls(self.target)
        if self.password and not self._trusted(encrypted) and self._gives_away(payload):
            raise _asks_for_password(self.target)
        super().write_packet(payload)

    @property
    def server_public_key(self):
        """None: a key that the other side sends may be anybody's."""
        return None

    @server_public_key.setter
    def server_public_key(self, key) -> None:
        if key:
            raise _asks_for_password(self.target)

    def _trusted(self, encrypted: bool) -> bool:
        return bool(self.target.socket) or (encrypted and self.target.tls in ("ca", "verify"))

    def _gives_away(self, payload: bytes) -> bool:
        """Whether an answer is the password, or the first packet has it behind the user's
        name."""
        user = self.target.user.encode()
        secret, behind = self.password + b"\0", payload[SSL_REQUEST + len(user) + 1:]
        return payload in (self.password, secret) or any(behind[length:].startswith(secret)
                                                         for length in (0, 1, 3))

    def query(self, sql, unbuffered=False):
        """As PyMySQL's; a server that asks for a local file gets none, and one sentence says so."""
        try:
            return super().query(sql, unbuffered)
        except RuntimeError:
            raise DatabaseError("the database server asked for a file of this machine, and was "
                                "given none") from None

    def _judge_listener(self) -> None:
        """Who listens on the socket itself: its path may have been another's a moment ago."""
        if hasattr(socket, "SO_PEERCRED"):
            found = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED,
                                          struct.calcsize("3i"))
            _judge_owner(self.target.socket, struct.unpack("3i", found)[1])


class _Refuse:
    """In place of what would send the password in clear, or by a hash that can be undone."""

    def __init__(self, connection) -> None:
        self._target = connection.target

    def authenticate(self, _packet):
        """Refuse: raises DatabaseError."""
        raise _asks_for_password(self._target)


def _asks_for_password(target) -> DatabaseError:
    where = target.socket or f"{target.host}:{target.port}"
    return DatabaseError(
        f"the database server {where} asks for the password itself, which is sent only through its "
        "own socket (?unix_socket=/path) or to a server that is verified "
        "(?ssl_ca=/path/to/ca.pem), and never in clear: docs/security.md")
