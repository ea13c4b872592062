"""Sockets that keep a deadline, for `smtplib` and `http.client`, whose own time limit is for each
call: a server that sends a byte a minute would hold them for ever.

Each read and write is given what is left of the time, and no more is read than was allowed: then it
is as if the other side had ended there.
"""
from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import Any

from jobs_lib.errors import JobsError
from jobs_lib.ports.outcomes import is_exhausted

MOST = 65536  # octets that are read of one answer


class Socket(socket.socket):
    """A connection. `until`: a monotonic second, or None where the socket's own time limit counts;
    `room`: so many octets are still read."""

    until: float | None = None
    room = MOST
    ended = False  # whether the other side sends no more

    def allow(self, until: float | None) -> None:
        """From now on nothing takes longer, and so much is read again."""
        self.until, self.room = until, MOST

    def recv_into(self, buffer, *how) -> int:
        self._hurry()
        if self.room <= 0:
            return 0
        number = super().recv_into(memoryview(buffer)[:self.room], *how)
        self.room, self.ended = self.room - number, not number
        return number

    def send(self, *what) -> int:
        self._hurry()
        return super().send(*what)

    def sendall(self, *what) -> None:
        self._hurry()
        super().sendall(*what)

    def _hurry(self) -> None:
        if self.until is not None:
            self.settimeout(left(self.until))


class TlsSocket(Socket, ssl.SSLSocket):
    """An encrypted one."""


def left(until: float) -> float:
    """The seconds until then; socket.timeout when there are none."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise socket.timeout("no answer in time")
    return seconds


def connect(found: list, until: float) -> Socket:
    """A socket connected to the first of these addresses (as `socket.getaddrinfo` gives them) that
    answers; each is given its part of the time. OSError if none does."""
    failure: OSError = OSError("the name has no address")
    for number, (family, kind, protocol, _, address) in enumerate(found):
        sock = Socket(family, kind, protocol)
        try:
            sock.settimeout(left(until) / (len(found) - number))
            sock.connect(address)
            # each command is one write: to wait for more of it (Nagle) would only cost time
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.until = until
            return sock
        except OSError as error:
            sock.close()
            failure = error
    raise failure


def tls_context(option: str, ca_file: str, besides: bool = False) -> ssl.SSLContext:
    """TLS 1.2 or later, certificates verified by name: against the file that this option names, or
    the system's authorities; `besides`: against both. JobsError for what is no such file."""
    try:
        context = ssl.create_default_context(cafile=None if besides else ca_file or None)
        if besides and ca_file:
            context.load_verify_locations(ca_file)
    except OSError as error:
        if is_exhausted(error):
            raise
        raise JobsError(f"{option} = {ca_file}: {error.strerror or error}; expected certificates "
                        "in PEM") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def encrypted(sock: Socket, context: ssl.SSLContext, host: str) -> TlsSocket:
    """The same connection over TLS, with the same deadline; the certificate is verified for that
    name. The time limit of a handshake is for all of it."""
    assert sock.until is not None
    context.sslsocket_class = TlsSocket
    sock.settimeout(left(sock.until))
    secure: Any = context.wrap_socket(sock, server_hostname=host)
    secure.until = sock.until
    return secure


def look_up(host, port: int, until: float) -> list:
    """What `connect` takes; socket.timeout when it takes too long. Nothing can interrupt a look-up:
    it is left to itself then, in a thread that nobody waits for. Where the host allows no more
    threads, it takes its time."""
    found: list = []

    def ask() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM,
                                            socket.IPPROTO_TCP))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    try:
        thread.start()
        thread.join(left(until))
    except RuntimeError:
        ask()
    if not found:
        raise socket.timeout("no answer in time")
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def in_words(error: BaseException) -> str:
    """What went wrong with a connection, for the operator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, socket.timeout):  # no TimeoutError before Python 3.10
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
