"""A TCP proxy before a server on this machine."""
from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """`with Proxy(port) as proxy:` what connects to `proxy.port` talks to the server at `port`, as
    `carry` passes it on."""

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

    def carry(self, client: socket.socket, server: socket.socket) -> None:
        """Begin to pass on what either of the two sends."""
        raise NotImplementedError

    @staticmethod
    def start(what, *given: object) -> None:
        """Call it in a thread of its own."""
        threading.Thread(target=what, args=given, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:                     # it is closed
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:                     # refused: so is the client
                client.close()
                continue
            self.carry(client, server)
