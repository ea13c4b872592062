"""One POST: resolve, connect, secure, write, read, all before one deadline. Or, with `[webhooks]
outbox`, for trying things out: each request is a file there, answered 200, and goes nowhere."""
from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
from functools import cached_property

from jobs_lib.folders import write
from jobs_lib.paths import VERSION
from jobs_lib.ports import deadline

from .connect import Failure, connect, failing
from .message import (
    ANSWERED,
    EXCERPT,
    FAILED,
    OURS,
    REFUSED,
    TIMEOUT,
    UNSENDABLE,
    Request,
    Response,
)
from .url import UrlError, parse

AGENT = f"jobs-webhooks/{VERSION}"


class Poster:
    """Sends as the `[webhooks]` section asks, for one run; may be used from several threads at
    once. JobsError if that cannot work."""

    def __init__(self, webhooks) -> None:
        self.seconds = webhooks.timeout.total_seconds()
        self.allowed = webhooks.allow_networks
        self._outbox, self._ca_file = webhooks.outbox, webhooks.ca_file
        if self._ca_file:
            # a file that cannot be read is the operator's to see, not one endpoint's
            self.context        # noqa: B018

    def post(self, request: Request) -> Response:
        """Send it once. Never raises, and takes `[webhooks] timeout` at most."""
        try:
            target, data = _prepare(request)    # before anybody is asked for a name
            if self._outbox:
                return _keep(self._outbox, request, data)
            with failing("the connection broke"):
                return self._post(target, data)
        except Failure as failure:
            return failure.response
        except socket.timeout:
            return Response(TIMEOUT, text=f"no answer within {self.seconds:g} seconds")

    @cached_property
    def context(self):
        """What verifies certificates; made at the first need, since it reads the system's
        authorities."""
        return deadline.tls_context("[webhooks] ca_file", self._ca_file, besides=True)

    def _post(self, target, data: bytes) -> Response:
        sock = connect(target, self.allowed, self.seconds)
        try:
            if target.secure:
                with failing("no TLS connection"):
                    sock = deadline.encrypted(sock, self.context, target.host)
            with contextlib.closing(http.client.HTTPResponse(sock, method="POST")) as answer:
                sock.sendall(data)
                return _answer(answer, sock)
        finally:
            sock.close()


def _keep(folder: str, request: Request, data: bytes) -> Response:
    """Write a request into the folder, under the name of its item: the same again replaces it."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", str(request.item_id)) + ".http"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        write(os.path.join(folder, name), data)
    except OSError as error:
        return Response(OURS, text=f"[webhooks] outbox = {folder}: {error.strerror or error}")
    return Response(ANSWERED, 200, "", "written into a file, not sent")


def _prepare(request: Request) -> tuple:
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


def _answer(answer: http.client.HTTPResponse, sock) -> Response:
    """The Response that comes in."""
    try:
        answer.begin()
        if answer.status < 200 or not sock.room:        # an interim one, or a head without an end
            raise http.client.HTTPException
    except http.client.HTTPException:
        raise Failure(FAILED, "there was no answer, or none that is HTTP") from None
    body = b""
    # whatever ends it: the status counts. It is read further than it is kept, so that the other
    # side is not cut off
    with contextlib.suppress(http.client.HTTPException, OSError):
        while piece := answer.read1(deadline.MOST):
            body += piece
    return Response(ANSWERED, answer.status, answer.headers.get("retry-after", ""), excerpt(body))


def excerpt(body: bytes) -> str:
    """The beginning of an answer as it may be stored and shown: printable, at most EXCERPT
    bytes."""
    text = body[:2 * EXCERPT].decode("utf-8", "replace")
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text.encode("utf-8")[:EXCERPT].decode("utf-8", "ignore")
