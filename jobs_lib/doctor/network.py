"""Names of hosts, looked up beside us: the system's own look-up cannot be interrupted."""
from __future__ import annotations

import socket
import threading

SECONDS = 3.0


def resolve(host: str, port: int, seconds: float = SECONDS) -> str | None:
    """What is wrong with a host's name, in words, or None when it has an address."""
    heard: list = []

    def ask() -> None:
        try:
            heard.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            heard.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if not heard:
        return f"the name {host!r} could not be looked up within {seconds:.0f} s"
    if isinstance(heard[0], Exception):
        return f"there is no host {host!r} ({getattr(heard[0], 'strerror', None) or heard[0]})"
    return None
