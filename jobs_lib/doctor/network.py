"""Names of hosts, looked up beside us: the system's own look-up cannot be interrupted."""
from __future__ import annotations

import socket
from functools import partial

from jobs_lib.ports.in_time import in_time

SECONDS = 3.0


def resolve(host: str, port: int, seconds: float = SECONDS) -> str | None:
    """What is wrong with a host's name, in words, or None when it has an address."""
    try:
        found = in_time(partial(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM), seconds)
    except (OSError, UnicodeError) as error:
        return f"there is no host {host!r} ({getattr(error, 'strerror', None) or error})"
    return None if found else f"the name {host!r} could not be looked up within {seconds:.0f} s"
