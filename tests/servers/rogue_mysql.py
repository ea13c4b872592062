"""A stranger in the database server's place: it asks for the password in each way there is, and
keeps what it gets."""
from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1

from tests.servers.listener import Listener

SALT = b"abcdefgh", b"ijklmnopqrst"
# LONG_PASSWORD, CONNECT_WITH_DB, LOCAL_FILES, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION,
# PLUGIN_AUTH
CAPABILITIES, TLS = 1 | 8 | 128 | 512 | 8192 | 32768 | 1 << 19, 1 << 11
FIRST = {"caching": b"caching_sha2_password", "sha256": b"sha256_password"}
OK = b"\x00\x00\x00\x02\x00\x00\x00"


@cache
def _key():
    return rsa.generate_private_key(65537, 2048)


class RogueMySQL(Listener):
    """`with RogueMySQL("clear") as rogue`; `rogue.learned(password)` tells whether the password was
    given away.

    how    clear, dialog, old, caching, sha256 (asked in the first packet), sha256-switch; file:
           signed in without a question, and then a file is asked for
    path   a socket in place of a port
    tls    a server's TLS context, or None: none is offered
    """

    def __init__(self, how: str, path: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.how, self.got, self._tls = how, b"", tls
        self._key = _key()
        super().__init__(socket.create_server(path, family=socket.AF_UNIX) if path else None)

    def learned(self, password: str) -> bool:
        """Whether the password stands in what came, in clear or under the key of the stranger."""
        return password.encode() in self.got or password.encode() in self._opened()

    def _opened(self) -> bytes:
        found, how = b"", padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)
        for start in range(max(0, len(self.got) - 255)):
            try:
                hidden = self._key.decrypt(self.got[start:start + 256], how)
            except ValueError:
                continue
            found += bytes(octet ^ b"".join(SALT)[at % 20] for at, octet in enumerate(hidden))
        return found

    def serve(self, connection) -> None:
        """Ask for the password, as long as somebody answers."""
        with connection, contextlib.suppress(OSError):
            connection.settimeout(1)
            self._talk(connection)

    def _talk(self, connection) -> None:
        first = FIRST.get(self.how, b"mysql_native_password")
        flags = CAPABILITIES | (TLS if self._tls else 0)
        self._send(connection, 0, b"\x0a8.0.30\x00" + struct.pack("<I", 7) + SALT[0] + b"\x00"
                   + struct.pack("<H", flags & 0xffff) + b"\x2d" + struct.pack("<HH", 2,
                                                                               flags >> 16)
                   + bytes([21]) + bytes(10) + SALT[1] + b"\x00" + first + b"\x00")
        number, payload = self._receive(connection)
        if self._tls and len(payload) == 32:
            connection = self._tls.wrap_socket(connection, server_side=True)
            number, payload = self._receive(connection)
        switch = {"clear": b"mysql_clear_password\x00", "dialog": b"dialog\x00\x02Password: ",
                  "old": b"mysql_old_password\x00" + SALT[0] + b"\x00",
                  "sha256-switch": b"sha256_password\x00" + b"".join(SALT) + b"\x00"}.get(self.how)
        if self.how == "file":
            self._send(connection, number + 1, OK)
            self._receive(connection)                               # SET NAMES
            self._send(connection, 1, OK)
            self._receive(connection)
            self._send(connection, 1, b"\xfb" + os.path.abspath(__file__).encode())
        elif self.how == "caching":
            self._send(connection, number + 1, b"\x01\x04")
        elif switch:
            self._send(connection, number + 1, b"\xfe" + switch)
        while True:
            # the key for who asks, and whatever else comes
            number, payload = self._receive(connection, payload if self.how == "sha256" else b"")
            if payload in (b"\x01", b"\x02") or (self.how == "sha256" and number == 1):
                pem = self._key.public_key().public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
                self._send(connection, number + 1, b"\x01" + pem)

    def _receive(self, connection, given: bytes = b"") -> tuple[int, bytes]:
        if given and not hasattr(self, "_given"):
            self._given = True
            return 1, given
        head = self._exactly(connection, 4)
        payload = self._exactly(connection, int.from_bytes(head[:3], "little"))
        self.got += payload
        return head[3], payload

    @staticmethod
    def _exactly(connection, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = connection.recv(length - len(data))
            if not more:
                raise OSError("closed")
            data += more
        return data

    @staticmethod
    def _send(connection, number: int, payload: bytes) -> None:
        connection.sendall(len(payload).to_bytes(3, "little") + bytes([number]) + payload)
