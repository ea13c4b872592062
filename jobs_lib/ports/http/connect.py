"""A connection to an endpoint: its name resolved once, every answer judged, and only what was
judged connected to.

Between judging a name and connecting to it a second look-up could give another answer (DNS
rebinding). So there is one look-up, and the socket is given the address itself. One answer that is
not public spoils them all: an honest name has no private addresses beside public ones.
"""
from __future__ import annotations

import socket
import ssl
import time

from jobs_lib.ports.outcomes import is_exhausted

from . import public_addresses
from .message import FAILED, NOT_PUBLIC, OURS, REFUSED, TIMEOUT, Response

MOST_ADDRESSES = 4          # of one name that are tried
# connecting may take this part of the whole time: a third SYN goes out after 3 seconds
CONNECT_SHARE = 3
BLACK_HOLE = ("192.0.2.1", "2001:db8::1")         # for documentation: nobody's own


class Failure(Exception):
    """An attempt that ends here, with this Response."""

    def __init__(self, outcome: str, text: str) -> None:
        super().__init__(text)
        self.response = Response(outcome, text=text)


def out_of_resources(error: Exception) -> Failure | None:
    """The Failure, if this host has no file handle or memory left."""
    if not is_exhausted(error):
        return None
    return Failure(OURS, f"this host could not send ({reason(error)})")


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
        raise out_of_resources(error) or Failure(FAILED, text) from None
    deadline.left()
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found
                                   if family in (socket.AF_INET, socket.AF_INET6)))
    if not addresses:
        raise Failure(FAILED, f"the name {target.host} has no address")
    for family, address in addresses:
        if not _may(family, address, allowed):
            raise Failure(REFUSED, NOT_PUBLIC)
    return addresses[:MOST_ADDRESSES]


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


def connect(addresses: list[tuple], allowed, deadline: Deadline):
    """A socket connected to the first of these addresses that answers. Failure if none does."""
    until = min(deadline.until, time.monotonic() + deadline.seconds / CONNECT_SHARE)
    failed = Failure(FAILED, "no connection")
    for number, (family, address) in enumerate(addresses):
        share = max(0.05, (until - time.monotonic()) / (len(addresses) - number))
        try:
            return _connected(family, address, allowed, min(share, deadline.left()))
        except socket.timeout:          # TimeoutError only from Python 3.10 on
            failed = Failure(TIMEOUT,
                             f"no connection within {deadline.seconds / CONNECT_SHARE:g} seconds")
        except OSError as error:
            if failure := out_of_resources(error):
                raise failure from None
            failed = Failure(FAILED, f"no connection ({reason(error)})")
    raise failed


def _connected(family, address: tuple, allowed, seconds: float):
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
        if sock.getsockname()[0] == address[0] and not public_addresses.is_in(address[0], allowed):
            # one of our own that could not be recognized before
            raise Failure(REFUSED, NOT_PUBLIC)
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
