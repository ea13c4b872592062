"""One POST: resolve, connect, secure, write, read, all before one deadline."""
from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
from typing import Any

from jobs_lib.errors import JobsError
from jobs_lib.paths import VERSION

from .connect import Deadline, Failure, connect, out_of_resources, reason, resolve, secure
from .message import (
    ANSWERED,
    EXCERPT,
    FAILED,
    REFUSED,
    TIMEOUT,
    UNSENDABLE,
    Request,
    Response,
)
from .url import UrlError, parse

WRITE = 65536
MOST = 65536                # bytes that are read of one answer, head and body
BODY_SECONDS = 2.0          # for the body, once the status is known: it is only shown to people
AGENT = f"jobs-webhooks/{VERSION}"


class Poster:
    """Sends for one run; may be used from several threads at once."""

    def __init__(self, webhooks) -> None:
        self.seconds = webhooks.timeout.total_seconds()
        self.allowed = webhooks.allow_networks
        self._ca_file, self._lock = webhooks.ca_file, threading.Lock()
        self._context: Any = None
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

    def close(self) -> None:
        """Nothing is open between two requests."""

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
        sock = connect(resolve(target, self.allowed, deadline), self.allowed, deadline)
        try:
            if target.secure:
                sock = secure(sock, self.context(), target.host, deadline)
            broken = _write(sock, data, deadline)
            return _answer(sock, deadline, broken)
        finally:
            with contextlib.suppress(OSError):
                sock.close()


def prepare(request: Request) -> tuple:
    """(its Target, the request as it goes over the wire). Failure for a URL that we do not call,
    and for a header that would be two."""
    try:
        target = parse(request.url)
    except UrlError as error:
        raise Failure(REFUSED, str(error)) from None
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.header}", f"User-Agent: {AGENT}",
             *(f"{name}: {value}" for name, value in request.headers),
             f"Content-Length: {len(request.body)}", "Accept: */*",
             "Connection: close"]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise Failure(UNSENDABLE, "a header of this delivery holds a control character, or one "
                      "that is not ASCII")
    return target, "\r\n".join([*lines, "", ""]).encode("ascii") + request.body


def _write(sock, data: bytes, deadline: Deadline) -> str:
    """Why not all was taken, or ""."""
    view = memoryview(data)
    try:
        while view:
            sock.settimeout(deadline.left())
            view = view[sock.send(view[:WRITE]):]
    except socket.timeout:
        raise Failure(TIMEOUT,
                      f"the request was not taken within {deadline.seconds:g} seconds") from None
    except OSError as error:
        return f"the connection broke ({reason(error)})"
    return ""


class _Incoming(io.RawIOBase):
    """What comes in on one connection, for `http.client`, which knows no deadline and takes a
    promised length at its word: each read gets what is left of the time, and all reads together get
    MOST bytes, as if the answer ended there."""

    def __init__(self, sock, deadline: Deadline) -> None:
        self.sock, self.deadline, self.room = sock, deadline, MOST

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer) -> int:
        """As `io.RawIOBase` has it; socket.timeout and OSError as the socket, Failure too late."""
        self.sock.settimeout(self.deadline.left())
        number = self.sock.recv_into(memoryview(buffer)[:self.room])
        self.room -= number
        return number

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What `http.client` asks of a socket."""
        return io.BufferedReader(self)


def _answer(sock, deadline: Deadline, broken: str) -> Response:
    """The Response that comes in. `broken`: why not all of the request was taken; whoever answers
    early and closes may be heard all the same."""
    incoming = _Incoming(sock, deadline)
    answer = http.client.HTTPResponse(incoming, method="POST")      # type: ignore[arg-type]
    try:
        answer.begin()
    except http.client.RemoteDisconnected:
        raise Failure(FAILED, broken or "the connection ended before the answer did") from None
    except http.client.HTTPException:
        raise Failure(FAILED, broken or "the answer is not HTTP") from None
    except OSError as error:
        if broken and not isinstance(error, socket.timeout):
            raise Failure(FAILED, broken) from None
        raise
    if answer.status < 200 or not incoming.room:        # an interim one, or a head without an end
        raise Failure(FAILED, "the answer is not HTTP")
    incoming.deadline = Deadline(min(BODY_SECONDS, deadline.left()))
    retry_after = answer.headers.get("retry-after", "")
    return Response(ANSWERED, answer.status, retry_after, excerpt(_body(answer)))


def _body(answer: http.client.HTTPResponse) -> bytes:
    """What comes of the body, whatever ends it: the status counts. It is read further than it is
    kept, so that the other side is not cut off."""
    body, most = b"", MOST if answer.length is None else min(answer.length, MOST)
    with contextlib.suppress(http.client.HTTPException, OSError, Failure):
        while len(body) < most and (piece := answer.read1(most - len(body))):
            body += piece
    return body


def excerpt(body: bytes) -> str:
    """The beginning of an answer as it may be stored and shown: printable, at most EXCERPT
    bytes."""
    text = body[:2 * EXCERPT].decode("utf-8", "replace")
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text.encode("utf-8")[:EXCERPT].decode("utf-8", "ignore")
