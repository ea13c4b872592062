"""A web server on this machine that answers as it is told: properly, or as no server should."""
from __future__ import annotations

import contextlib
import itertools
import socket
import time
from collections import namedtuple

from tests.servers.listener import Listener

Heard = namedtuple("Heard", "line headers body")        # headers: {name in lower case: value}
HERE = "127.0.0.1"


def loopback(backlog: int = 64) -> socket.socket:
    """A listener on one port of all loopback addresses, 127.0.0.1 to 127.255.255.254."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", 0))
    listener.listen(backlog)
    return listener


@contextlib.contextmanager
def full(listener: socket.socket | None = None):
    """The address of a listener that takes no connection: every SYN is lost."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(listener := listener or socket.create_server((HERE, 0), backlog=0))
        address = HERE, listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address


class Web(Listener):
    """`with Web(answer) as web:`; `answer` is bytes, or a function of (connection, Heard) that may
    send what it likes.

    `requests` holds what was heard, `connections` counts what came. With `tls`, a server's
    SSLContext, it speaks TLS; with the host "" it listens on all addresses of the loopback.
    """

    def __init__(self, answer=b"HTTP/1.1 204 No Content\r\n\r\n", tls=None, host=HERE) -> None:
        self.answer, self.tls, self.requests, self.connections = answer, tls, [], 0
        super().__init__(socket.create_server((host, 0), backlog=64) if host else loopback())

    def serve(self, connection) -> None:
        """Hear one request, and answer."""
        self.connections += 1
        with contextlib.suppress(OSError, ValueError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            heard = self._hear(connection)
            self.requests.append(heard)
            if callable(self.answer):
                self.answer(connection, heard)
            else:
                connection.sendall(self.answer)
        with contextlib.suppress(OSError):
            connection.close()

    @staticmethod
    def _hear(connection) -> Heard:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (part := connection.recv(65536)):
                raise OSError("no request")
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        return Heard(line, headers, body)


def drip(data: bytes, seconds: float = 0.05, first: bytes = b""):
    """An answer that sends `first` at once and then a byte at a time, for ever."""
    def answer(connection, _heard) -> None:
        connection.sendall(first)
        for each in itertools.cycle(data):
            connection.sendall(bytes([each]))
            time.sleep(seconds)
    return answer


def flood(data: bytes, first: bytes = b""):
    """An answer that sends `first` and then `data` as fast as it is taken, for ever."""
    def answer(connection, _heard) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(data)
    return answer


def silent(_connection, _heard) -> None:
    """No answer."""
    time.sleep(60)
