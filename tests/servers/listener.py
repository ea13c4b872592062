"""What servers of a test have in common that speak in threads of the test's own process."""
from __future__ import annotations

import contextlib
import socket
import threading


class Listener:
    """A subclass says by `serve(connection)` what each meets, in a thread of its own."""

    def __init__(self, listener: socket.socket | None = None) -> None:
        self.listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)        # else it takes one connection more
        self.listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):                  # it is closed
            while True:
                connection = self.listener.accept()[0]
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()
