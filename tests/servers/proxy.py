"""A TCP proxy before a server on this machine, which cuts the connection right after it passed a
chosen word on."""
from __future__ import annotations

import contextlib
import socket
import threading


class CutProxy:
    """`with CutProxy(port, b"COMMIT") as proxy:` listens on `proxy.port`; `cuts` counts what it
    did; with `word` b"" all passes. With `before` the server does not get the word."""

    def __init__(self, port: int, word: bytes, before: bool = False) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.word, self.cuts, self.before = word, 0, before
        self._once, self._pass = False, 0

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)        # or its thread would wait for ever
        self._listener.close()

    def once(self, word: bytes, after: int) -> None:
        """Cut one connection, where the word comes after so many of them have passed."""
        self._once, self._pass, self.word = True, after, word

    @staticmethod
    def _start(what, *given: object) -> None:
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
                self._start(self._requests, client, server)
                self._start(self._answers, client, server)

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
