"""A TCP proxy before a server that cuts the connection right after it passed a chosen word on."""
from __future__ import annotations

import contextlib
import socket
import threading


class CutProxy:
    """`with CutProxy(port, b"COMMIT") as proxy:`; `cuts` counts what it did; with `word` b"" all
    passes."""

    def __init__(self, port: int, word: bytes, before: bool = False) -> None:
        self.word, self.cuts = word, 0
        self._target, self._before = ("127.0.0.1", port), before
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> CutProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)        # or its thread would wait for ever
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self._target)
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                cut = bool(self.word) and self.word in data
                if cut:
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)        # the client hears nothing more
                if not (cut and self._before):
                    server.sendall(data)
                if cut:
                    break
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

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
