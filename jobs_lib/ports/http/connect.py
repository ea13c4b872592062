"""A connection to an endpoint: its name resolved once, every answer judged, and only what was
judged connected to.

Between judging a name and connecting to it a second look-up could give another answer (DNS
rebinding). So there is one look-up, and the socket is given the address itself. One answer that is
not public spoils them all: an honest name has no private addresses beside public ones.
"""
from __future__ import annotations

import errno
import socket
import ssl
import threading
import time

from jobs_lib.ports.in_time import in_time

from . import public_addresses
from .message import (
    BUSY,
    FAILED,
    NOT_PUBLIC,
    OURS,
    PER_ADDRESS,
    REFUSED,
    TIMEOUT,
    Response,
)

MOST_ADDRESSES = 4          # of one name that are tried
# connecting may take this part of the whole time: a third SYN goes out after 3 seconds
CONNECT_SHARE = 3
BLACK_HOLE = ("192.0.2.1", "2001:db8::1")         # for documentation: nobody's own
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
UNREACHED = {errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EHOSTDOWN,
             errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM}


class Failure(Exception):
    """An attempt that ends here, with this Response."""

    def __init__(self, outcome: str, text: str, reached: bool | None = True,
                 address: str = "") -> None:
        super().__init__(text)
        self.response = Response(outcome, text=text, reached=reached, address=address)


def out_of_resources(error: Exception) -> Failure | None:
    """The Failure, if this host has no file handle or memory left. A look-up has numbers of its
    own."""
    numbers = {socket.EAI_MEMORY} if isinstance(error, socket.gaierror) else EXHAUSTED
    if getattr(error, "errno", None) not in numbers:
        return None
    return Failure(OURS, f"this host could not send ({reason(error)})", None)


class Deadline:
    """One moment that nothing may outlast; a socket is given what is left of it before each
    operation."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.until = seconds, time.monotonic() + seconds

    def left(self) -> float:
        """Seconds; Failure when there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise self.missed()
        return left

    def missed(self) -> Failure:
        """What an attempt ends with that did not meet it."""
        return Failure(TIMEOUT, f"no answer within {self.seconds:g} seconds")


def resolve(target, allowed, deadline: Deadline) -> list[tuple]:
    """The (family, address) of a host, all of them public. The look-up itself cannot be ended: the
    caller gives up at the deadline, and we go no further."""
    try:
        found = socket.getaddrinfo(target.host.encode("ascii"), target.port, 0, socket.SOCK_STREAM,
                                   socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        text = f"the name {target.host} cannot be resolved ({reason(error)})"
        # An answer that there is no such name shows nothing: it may be remembered by a resolver
        # that is near.
        raise out_of_resources(error) or Failure(FAILED, text, _answered(error)) from None
    deadline.left()
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found
                                   if family in (socket.AF_INET, socket.AF_INET6)))
    if not addresses:
        raise Failure(FAILED, f"the name {target.host} has no address", None)
    for family, address in addresses:
        if not _may(family, address, allowed):
            raise Failure(REFUSED, NOT_PUBLIC, None)
    return addresses[:MOST_ADDRESSES]


def _answered(error: Exception) -> bool | None:
    """False if no name server answered; None if there is no such name, or it is none."""
    if isinstance(error, socket.gaierror):
        return False if error.errno in (socket.EAI_AGAIN, socket.EAI_FAIL,
                                        socket.EAI_SYSTEM) else None
    return False if isinstance(error, OSError) else None


def resolves(name: str, seconds: float) -> bool:
    """Whether a name server says anything of this name, be it that there is none. A look-up that
    hangs says nothing."""
    def ask() -> bool:
        try:
            socket.getaddrinfo(name, None)
        except (OSError, UnicodeError) as error:
            return _answered(error) is not False
        return True
    try:
        return bool(in_time(ask, seconds))
    except RuntimeError:            # no more threads: nothing is known
        return True


def _may(family, address: tuple, allowed) -> bool:
    if public_addresses.is_in(address[0], allowed):
        return True
    on_a_link = len(address) == 4 and address[3]
    return not (on_a_link or public_addresses.refusal(address[0]) or is_own(family, address[0]))


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


class Places:
    """How many requests go to each address at once: many names may lead to one, and its owner has
    chosen them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}

    def take(self, address: str) -> bool:
        """Whether there is one more to be had; it is to be given back."""
        with self._lock:
            taken = self._taken.get(address, 0)
            if taken < PER_ADDRESS:
                self._taken[address] = taken + 1
            return taken < PER_ADDRESS

    def give_back(self, address: str) -> None:
        """Note that a request to this address has ended."""
        with self._lock:
            self._taken[address] -= 1


def connect(addresses: list[tuple], allowed, deadline: Deadline, places: Places) -> tuple:
    """(a socket connected to the first of these addresses that answers, the address): its place is
    the caller's to give back. Failure BUSY when the places at one of them are taken, and none
    before it answers."""
    until = min(deadline.until, time.monotonic() + deadline.seconds / CONNECT_SHARE)
    failed, reached = Failure(FAILED, "no connection"), False
    for number, (family, address) in enumerate(addresses):
        share = max(0.05, (until - time.monotonic()) / (len(addresses) - number))
        place = public_addresses.spelled(address[0])
        if not places.take(place):
            raise Failure(BUSY, "", None, place)
        sock = None
        try:
            sock = _connected(family, address, allowed, min(share, deadline.left()))
            return sock, place
        except socket.timeout:          # TimeoutError only from Python 3.10 on
            failed = Failure(TIMEOUT,
                             f"no connection within {deadline.seconds / CONNECT_SHARE:g} seconds")
        except OSError as error:
            if failure := out_of_resources(error):
                raise failure from None
            failed = Failure(FAILED, f"no connection ({reason(error)})")
            reached = reached or error.errno not in UNREACHED          # somebody refused it
        finally:
            if sock is None:
                places.give_back(place)
    failed.response = failed.response._replace(reached=reached)
    raise failed


def _connected(family, address: tuple, allowed, seconds: float):
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
        # on a kept connection the end of a request would wait for an ACK that is delayed
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sock.getsockname()[0] == address[0] and not public_addresses.is_in(address[0], allowed):
            # one of our own that could not be recognized before
            raise Failure(REFUSED, NOT_PUBLIC, None)
        return sock
    except BaseException:
        sock.close()
        raise


def secure(sock, context: ssl.SSLContext, host: str, deadline: Deadline):
    """The same connection over TLS, the certificate verified for the name, whatever the address
    is."""
    try:
        sock.settimeout(deadline.left())
        # the limit is for the handshake as a whole
        return context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise Failure(FAILED,
                      f"the certificate of {host} is not valid ({error.verify_message})") from None
    except socket.timeout:
        raise deadline.missed() from None
    except (OSError, ValueError) as error:
        # ValueError: a name that no certificate can be for
        raise Failure(FAILED, f"no TLS connection ({reason(error)})") from None


def reason(error: Exception) -> str:
    """What the system says, without address and number."""
    name = getattr(error, "reason", None)           # of ssl: TLSV1_ALERT_PROTOCOL_VERSION
    text = name if isinstance(name, str) else getattr(error, "strerror", None)
    return str(text or type(error).__name__).lower().replace("_", " ")
