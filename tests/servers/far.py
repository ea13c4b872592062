"""A TCP proxy that puts a server on this machine further away: what either side sends arrives half
a round trip later, however much is on its way."""
from __future__ import annotations

import contextlib
import queue
import socket
import time

from .proxy import Proxy


class Far(Proxy):
    """`with Far(port, 0.02) as far:` the server at `port` is 20 ms away, at `far.port`. To connect
    takes no time."""

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
