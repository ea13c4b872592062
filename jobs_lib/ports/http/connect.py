"""A connection to an endpoint: its name resolved once, every answer judged, and only what was
judged connected to.

Between judging a name and connecting to it a second look-up could give another answer (DNS
rebinding). So there is one look-up, and the socket is given the address itself. One answer that is
not public spoils them all: an honest name has no private addresses beside public ones.
"""
from __future__ import annotations

import socket
import time
from contextlib import contextmanager

from jobs_lib.ports import deadline
from jobs_lib.ports.outcomes import is_exhausted

from . import public_addresses
from .message import FAILED, NOT_PUBLIC, OURS, REFUSED, Response

MOST_ADDRESSES = 4          # of one name that are tried
BLACK_HOLE = ("192.0.2.1", "2001:db8::1")         # for documentation: nobody's own


class Failure(Exception):
    """An attempt that ends here, with this Response."""

    def __init__(self, outcome: str, text: str) -> None:
        super().__init__(text)
        self.response = Response(outcome, text=text)


@contextmanager
def failing(what: str):
    """An OSError becomes the Failure whose text begins so; a time-out stays one."""
    try:
        yield
    except socket.timeout:
        raise
    except (OSError, ValueError) as error:      # ValueError: a name that no certificate can be for
        raise Failure(OURS if is_exhausted(error) else FAILED,
                      f"{what} ({deadline.in_words(error)})") from None


def connect(target, allowed, seconds: float):
    """A socket connected to a host whose addresses are all public, or in a network that is allowed,
    with a deadline so many seconds from now. Failure, or socket.timeout."""
    until = time.monotonic() + seconds
    with failing(f"the name {target.host} cannot be resolved"):
        found = deadline.look_up(target.host.encode("ascii"), target.port, until)
    if not all(_may(family, address, allowed) for family, _, _, _, address in found):
        raise Failure(REFUSED, NOT_PUBLIC)
    with failing("no connection"):
        sock = deadline.connect(found[:MOST_ADDRESSES], until)
    address = sock.getpeername()[0]
    if sock.getsockname()[0] == address and not public_addresses.is_in(address, allowed):
        sock.close()                    # one of our own that could not be recognized before
        raise Failure(REFUSED, NOT_PUBLIC)
    return sock


def _may(family, address: tuple, allowed) -> bool:
    if public_addresses.is_in(address[0], allowed):
        return True
    on_a_link = len(address) == 4 and address[3]
    return not on_a_link and public_addresses.is_public(address[0]) and not is_own(family,
                                                                                   address[0])


def is_own(family, address: str) -> bool:
    """Whether it is one of this host's own: only those can be bound to, and binding sends
    nothing."""
    return _binds(family, address) and not _binds(family, BLACK_HOLE[family == socket.AF_INET6])


def _binds(family, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
