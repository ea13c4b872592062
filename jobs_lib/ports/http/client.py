"""One POST: resolve, connect, secure, write, read, all before one deadline; or write and read on a
connection that was kept."""
from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from jobs_lib.errors import JobsError
from jobs_lib.paths import VERSION

from .connect import (
    Deadline,
    Failure,
    Places,
    connect,
    out_of_resources,
    reason,
    resolve,
    resolves,
    secure,
)
from .kept import Connection, Kept
from .message import ANSWERED, BUSY, FAILED, REFUSED, TIMEOUT, UNSENDABLE, Request, Response
from .response import Reader, excerpt
from .url import UrlError, parse

WRITE = 65536
AGENT = f"jobs-webhooks/{VERSION}"


class Untaken(Exception):
    """A kept connection took nothing of a request. So nobody has seen it, and it may go over
    another."""


class Poster:
    """Sends for one run; may be used from several threads at once."""

    def __init__(self, webhooks) -> None:
        self.seconds = webhooks.timeout.total_seconds()
        self.allowed = webhooks.allow_networks
        self._ca_file, self._lock, self._places = webhooks.ca_file, threading.Lock(), Places()
        self._context: Any = None
        self._kept = Kept()
        if self._ca_file:
            # a file that cannot be read is the operator's to see, not one endpoint's
            self.context()

    def post(self, request: Request) -> Response:
        """Send it once. Never raises; takes `[webhooks] timeout` at most, but for a look-up that
        the system holds."""
        deadline = Deadline(self.seconds)
        try:
            return self._post(request, deadline)
        except Failure as failure:
            return failure.response
        except socket.timeout:
            return deadline.missed().response
        except OSError as error:
            broken = Failure(FAILED, f"the connection broke ({reason(error)})")
            return (out_of_resources(error) or broken).response

    def resolves(self, name: str) -> bool:
        """Whether a name server answers for this name of our own; takes `[webhooks] timeout` at
        most."""
        return resolves(name, self.seconds)

    def close(self) -> None:
        """Close the connections that were kept."""
        self._kept.close()

    def context(self):
        """What verifies certificates; made once, at the first need, since it reads the system's
        authorities."""
        import ssl
        with self._lock:
            if self._context is None:
                try:
                    context = ssl.create_default_context()
                    if self._ca_file:
                        context.load_verify_locations(self._ca_file)
                except OSError as error:
                    raise JobsError(f"[webhooks] ca_file = {self._ca_file}: "
                                    f"{error.strerror or error}; expected certificates in "
                                    "PEM") from None
                self._context = context
            return self._context

    def _post(self, request: Request, deadline: Deadline) -> Response:
        target, data = prepare(request)     # before anybody is asked for a name
        if kept := self._take_kept(request, target):
            with contextlib.suppress(Untaken):
                return self._exchange(kept, request, target, data, deadline)
        addresses = resolve(target, self.allowed, deadline)
        sock, address = connect(addresses, self.allowed, deadline, self._places)
        return self._exchange(Connection(sock, target, address), request, target, data, deadline)

    def _take_kept(self, request: Request, target) -> Connection | None:
        kept = self._kept.take(request.endpoint, target)
        if kept and not self._places.take(kept.address):
            kept.close()
            raise Failure(BUSY, "", None, kept.address)
        return kept

    def _exchange(self, connection: Connection, request: Request, target, data: bytes,
                  deadline: Deadline) -> Response:
        """The request and its answer, on a connection whose place is given back then. Untaken, or
        Failure."""
        address, answer, broken = connection.address, None, ""
        try:
            if target.secure and not connection.is_kept:
                connection.sock = secure(connection.sock, self.context(), target.host, deadline)
            sent, broken = _write(connection.sock, data, deadline)
            if connection.is_kept and broken and not sent:
                raise Untaken
            answer = Reader(connection.sock, deadline).answer()
        except Failure as failure:
            response = failure.response
            text = broken if broken and response.outcome == FAILED else response.text
            failure.response = response._replace(text=text, address=address)
            raise
        finally:
            if connection.is_kept and not answer:
                self._kept.note_end(request.endpoint)
            if answer and answer.keeps and request.more and not broken:
                self._kept.keep(request.endpoint, connection)
            else:
                connection.close()
            self._places.give_back(address)
        return Response(ANSWERED, answer.status, answer.headers.get("retry-after", ""),
                        excerpt(answer.body), address=address)


def prepare(request: Request) -> tuple:
    """(its Target, the request as it goes over the wire). Failure for a URL that we do not call,
    and for a header that would be two."""
    try:
        target = parse(request.url)
    except UrlError as error:
        raise Failure(REFUSED, str(error), None) from None
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.header}", f"User-Agent: {AGENT}",
             *(f"{name}: {value}" for name, value in request.headers),
             f"Content-Length: {len(request.body)}", "Accept: */*",
             f"Connection: {'keep-alive' if request.more else 'close'}"]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise Failure(UNSENDABLE, "a header of this delivery holds a control character, or one "
                      "that is not ASCII", None)
    return target, "\r\n".join([*lines, "", ""]).encode("ascii") + request.body


def _write(sock, data: bytes, deadline: Deadline) -> tuple[int, str]:
    """(how many bytes were taken, why not all were or ""). Who answers early and closes may be
    heard all the same."""
    view = memoryview(data)
    try:
        while view:
            sock.settimeout(deadline.left())
            view = view[sock.send(view[:WRITE]):]
    except socket.timeout:
        raise Failure(TIMEOUT,
                      f"the request was not taken within {deadline.seconds:g} seconds") from None
    except OSError as error:
        return len(data) - len(view), f"the connection broke ({reason(error)})"
    return len(data), ""
