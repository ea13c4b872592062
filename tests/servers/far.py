"""A TCP proxy that puts a server on this machine further away: what either side sends arrives half
a round trip later, however much is on its way."""
from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time


class Far:
    """`with Far(port, 0.02) as far:` the server at `port` is 20 ms away, at `far.port`. To connect
    takes no time."""

    def __init__(self, port: int, round_trip: float) -> None:
        self._target, self._delay = ("127.0.0.1", port), round_trip / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Far:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)        # or its thread would wait for ever
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._target)
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._carry(client, server)
                self._carry(server, client)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        on_its_way: queue.SimpleQueue = queue.SimpleQueue()      # (when it arrives, bytes)
        threading.Thread(target=self._take, args=(source, on_its_way), daemon=True).start()
        threading.Thread(target=self._deliver, args=(target, on_its_way), daemon=True).start()

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
