"""A TCP proxy before a server that cuts the connection right after it passed a chosen word on."""
from __future__ import annotations

import socket

from .proxy import Proxy


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
        try:
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
        except OSError:
            pass

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
        try:
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            client.close()
            server.close()
