"""Connections that are kept for the next request to the same endpoint, within one run (RFC 9112 9).

A request on a connection that the server is about to close is lost, and nobody knows whether it was
read. So a connection is kept only where the server says so, for a moment, and used only if nothing
has come on it since. Each belongs to one endpoint, and leads where it was judged to lead when it
was opened; after LONGEST the name is looked up and judged again.
"""
from __future__ import annotations

import contextlib
import ssl
import threading
import time

from .message import PER_ADDRESS

IDLE = 1.0                  # seconds: servers close theirs after 2, 5 or more
LONGEST = 30.0              # seconds after its look-up that a connection is used


class Connection:
    """An open connection to a Target, at an address in one spelling."""

    def __init__(self, sock, target, address: str) -> None:
        self.sock, self.server, self.address = sock, _server(target), address
        self.opened = self.used = time.monotonic()
        self.is_kept = False

    def is_fresh(self) -> bool:
        """Whether it was opened, and used, lately enough."""
        now = time.monotonic()
        return now - self.used < IDLE and now - self.opened < LONGEST

    def is_open(self) -> bool:
        """Whether nothing has come on it since the last answer, and no end either."""
        try:
            self.sock.setblocking(False)
            self.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except (OSError, ValueError):
            pass
        return False

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self.sock.close()


class Kept:
    """Those of one run; may be used from several threads at once."""

    def __init__(self) -> None:
        self._lock, self._is_closed = threading.Lock(), False
        self._of: dict = {}                     # {endpoint: its Connection}
        self._unreliable: set = set()           # endpoints that have ended one that was kept

    def take(self, endpoint, target) -> Connection | None:
        """The connection of this endpoint to this server, if there is one that can be used. It is
        the caller's then."""
        with self._lock:
            connection = self._of.pop(endpoint, None)
        if connection is None:
            return None
        if connection.server == _server(target) and connection.is_fresh():
            if connection.is_open():
                return connection
            self.note_end(endpoint)
        connection.close()
        return None

    def note_end(self, endpoint) -> None:
        """This endpoint has ended a connection that it was to keep: it keeps no other."""
        with self._lock:
            self._unreliable.add(endpoint)

    def keep(self, endpoint, connection: Connection) -> None:
        """Keep it for the next request to this endpoint, or close it."""
        connection.used, connection.is_kept = time.monotonic(), True
        with self._lock:
            closing = [self._of.pop(each) for each, kept in list(self._of.items())
                       if not kept.is_fresh()]
            beside = sum(kept.address == connection.address for kept in self._of.values())
            if self._is_closed or endpoint in self._unreliable or beside >= PER_ADDRESS:
                closing.append(connection)
            else:
                self._of[endpoint] = connection
        for each in closing:
            each.close()

    def close(self) -> None:
        """Close all of them, and from now on each that is to be kept."""
        with self._lock:
            self._is_closed = True
            closing, self._of = list(self._of.values()), {}
        for each in closing:
            each.close()


def _server(target) -> tuple:
    return target.secure, target.host, target.port
