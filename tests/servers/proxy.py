"""A TCP proxy on this machine, which cuts a connection right after it passed a word on."""
from __future__ import annotations

import contextlib
import socket
import threading

from tests.servers.listener import Listener


class CutProxy(Listener):
    """`with CutProxy(port, b"COMMIT") as proxy:` listens on `proxy.port`; `cuts` counts what it
    did; with `word` b"" all passes. With `before` the server does not get the word."""

    def __init__(self, port: int, word: bytes, before: bool = False) -> None:
        self._target = ("127.0.0.1", port)
        super().__init__()
        self.word, self.cuts, self.before = word, 0, before
        self._once, self._pass = False, 0

    def once(self, word: bytes, after: int) -> None:
        """Cut one connection, where the word comes after so many of them have passed."""
        self._once, self._pass, self.word = True, after, word

    def serve(self, client: socket.socket) -> None:
        """Pass on what each side says."""
        try:
            server = socket.create_connection(self._target)
        except OSError:                     # refused: so is the client
            client.close()
            return
        threading.Thread(target=self._answers, args=(client, server), daemon=True).start()
        self._requests(client, server)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if cut := self._is_now(data):
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
