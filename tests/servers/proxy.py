"""TCP proxies before a server on this machine: one cuts the connection right after it passed a
chosen word on, the other puts the server further away."""
from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time


class Proxy:
    """Listens on `port` while it is entered; `carry` says what becomes of what both sides send."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        self.start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)        # or its thread would wait for ever
        self._listener.close()

    @staticmethod
    def start(what, *given: object) -> None:
        """Call it in a thread of its own."""
        threading.Thread(target=what, args=given, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):                  # it is closed
            while True:
                client = self._listener.accept()[0]
                try:
                    server = socket.create_connection(self._target)
                except OSError:                     # refused: so is the client
                    client.close()
                    continue
                self.carry(client, server)


class CutProxy(Proxy):
    """`with CutProxy(port, b"COMMIT") as proxy:`; `cuts` counts what it did; with `word` b"" all
    passes. With `before` the server does not get the word."""

    def __init__(self, port: int, word: bytes, before: bool = False) -> None:
        super().__init__(port)
        self.word, self.cuts, self.before = word, 0, before
        self._once, self._pass = False, 0

    def once(self, word: bytes, after: int) -> None:
        """Cut one connection, where the word comes after so many of them have passed."""
        self._once, self._pass, self.word = True, after, word

    def carry(self, client: socket.socket, server: socket.socket) -> None:
        """Until the word."""
        self.start(self._requests, client, server)
        self.start(self._answers, client, server)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                cut = self._is_now(data)
                if cut:
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)        # the client hears nothing more
                if not (cut and self.before):
                    server.sendall(data)
                if cut:
                    break
            server.shutdown(socket.SHUT_WR)

    def _is_now(self, data: bytes) -> bool:
        if not self.word or self.word not in data:
            return False
        self._pass -= 1
        if self._pass >= 0:
            return False
        if self._once:
            self.word = b""
        return True

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


class Far(Proxy):
    """`with Far(port, 0.02) as far:` the server at `port` is 20 ms away, at `far.port`: what either
    side sends arrives half a round trip later, however much is on its way. To connect takes no
    time."""

    def __init__(self, port: int, latency: float) -> None:
        super().__init__(port)
        self._delay = latency / 2

    def carry(self, client: socket.socket, server: socket.socket) -> None:
        """Both ways, half a round trip later."""
        for source, target in ((client, server), (server, client)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            on_its_way: queue.SimpleQueue = queue.SimpleQueue()      # (when it arrives, bytes)
            self.start(self._take, source, on_its_way)
            self.start(self._deliver, target, on_its_way)

    def _take(self, source: socket.socket, on_its_way: queue.SimpleQueue) -> None:
        data = b"first"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            on_its_way.put((time.monotonic() + self._delay, data))

    @staticmethod
    def _deliver(target: socket.socket, on_its_way: queue.SimpleQueue) -> None:
        with contextlib.suppress(OSError):
            while True:
                when, data = on_its_way.get()
                time.sleep(max(0.0, when - time.monotonic()))
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
