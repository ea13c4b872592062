"""A stranger in the database server's place: it asks for the password in each way there is."""
from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading

from tests.servers.listener import Listener

SALT = b"abcdefgh", b"ijklmnopqrst"
# LONG_PASSWORD, CONNECT_WITH_DB, LOCAL_FILES, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION,
# PLUGIN_AUTH
CAPABILITIES, TLS = 1 | 8 | 128 | 512 | 8192 | 32768 | 1 << 19, 1 << 11
OK = b"\x00\x00\x00\x02\x00\x00\x00"
# {how: (the plugin of its first packet, what it asks then)}
NATIVE, KEY = b"mysql_native_password", b"\x01-----BEGIN PUBLIC KEY-----\n"
ASKS_KEY = {"caching": b"\x02", "sha256-switch": b"\x01"}
QUESTIONS = {
    "clear": (NATIVE, b"\xfemysql_clear_password\x00"),
    "dialog": (NATIVE, b"\xfedialog\x00\x02Password: "),
    "old": (NATIVE, b"\xfemysql_old_password\x00" + SALT[0] + b"\x00"),
    "sha256-switch": (NATIVE, b"\xfesha256_password\x00" + b"".join(SALT) + b"\x00"),
    "caching": (b"caching_sha2_password", b"\x01\x04"),
    "sha256": (b"sha256_password", KEY),
    "file": (NATIVE, b"\xfb" + os.path.abspath(__file__).encode())}


class RogueMySQL(Listener):
    """`with RogueMySQL("clear") as rogue`; `rogue.got`: all that came.

    how    one of the QUESTIONS; file: signed in without a question, and then a file is asked for
    path   a socket in place of a port
    tls    a server's TLS context, or None: none is offered
    """

    def __init__(self, how: str, path: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.how, self.got, self._tls = how, b"", tls
        self._answers: list[bytes] = []
        self._over = threading.Event()
        super().__init__(socket.create_server(path, family=socket.AF_UNIX) if path else None)

    def answers(self) -> list[bytes]:
        """What it was answered, once the other side has left; that this asked for a key is none."""
        assert self._over.wait(30)
        return self._answers

    def serve(self, connection) -> None:
        """Ask for the password, as long as somebody answers."""
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            self._talk(connection)
        self._over.set()

    def _talk(self, connection) -> None:
        plugin, question = QUESTIONS[self.how]
        flags = CAPABILITIES | (TLS if self._tls else 0)
        self._send(connection, 0, b"\x0a8.0.30\x00" + struct.pack("<I", 7) + SALT[0] + b"\x00"
                   + struct.pack("<H", flags & 0xffff) + b"\x2d"
                   + struct.pack("<HH", 2, flags >> 16) + bytes([21]) + bytes(10) + SALT[1]
                   + b"\x00" + plugin + b"\x00")
        number, payload = self._receive(connection)
        if self._tls and len(payload) == 32:
            connection = self._tls.wrap_socket(connection, server_side=True)
            number, payload = self._receive(connection)
        if self.how == "file":
            self._send(connection, number + 1, OK)
            self._receive(connection)                               # SET NAMES
            self._send(connection, 1, OK)
            number, _ = self._receive(connection)
        self._send(connection, number + 1, question)
        while True:
            number, payload = self._receive(connection)
            if payload != ASKS_KEY.get(self.how):
                self._answers.append(payload)
                return
            self._send(connection, number + 1, KEY)

    def _receive(self, connection) -> tuple[int, bytes]:
        with connection.makefile("rb", buffering=0) as stream:
            head = stream.read(4)
            if not head:
                raise OSError("closed")
            payload = stream.read(int.from_bytes(head[:3], "little"))
        self.got += payload
        return head[3], payload

    @staticmethod
    def _send(connection, number: int, payload: bytes) -> None:
        connection.sendall(len(payload).to_bytes(3, "little") + bytes([number]) + payload)
