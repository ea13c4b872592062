"""One POST: resolve, connect, secure, write, read, all before one deadline."""
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
    connect,
    out_of_resources,
    reason,
    resolve,
    secure,
)
from .message import ANSWERED, FAILED, REFUSED, TIMEOUT, UNSENDABLE, Request, Response
from .response import Reader, excerpt
from .url import UrlError, parse

WRITE = 65536
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
            answer = self._answer(sock, deadline, broken)
        finally:
            with contextlib.suppress(OSError):
                sock.close()
        return Response(ANSWERED, answer.status, answer.headers.get("retry-after", ""),
                        excerpt(answer.body))

    def _answer(self, sock, deadline: Deadline, broken: str):
        """Whoever answers early and closes may be heard all the same; else what broke counts."""
        try:
            return Reader(sock, deadline).answer()
        except Failure as failure:
            if broken and failure.response.outcome == FAILED:
                raise Failure(FAILED, broken) from None
            raise


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
