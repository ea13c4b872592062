"""One POST: resolve, judge, connect, secure, write, read, all before one deadline. Or, with
`[webhooks] outbox`, for trying things out: each request is a file there, answered 200, and goes
nowhere.

The name is resolved once, every answer judged, and the socket is given the address itself: a
second look-up could give another answer (DNS rebinding). One that is not public spoils them all.
"""
from __future__ import annotations

import http.client
import os
import re
import socket
import time
from contextlib import closing, contextmanager, suppress

from jobs_lib.folders import VERSION, write
from jobs_lib.ports import deadline
from jobs_lib.ports.outcomes import is_exhausted

from . import (
    ANSWERED,
    EXCERPT,
    FAILED,
    NOT_PUBLIC,
    OURS,
    UNSENDABLE,
    Request,
    Response,
    public_addresses,
)
from .url import UrlError, parse

AGENT = f"jobs-webhooks/{VERSION}"
MOST_ADDRESSES = 4  # of one name that are tried
BLACK_HOLE = ("192.0.2.1", "2001:db8::1")  # for documentation: nobody's own


class Failure(Exception):
    """An attempt that ends here: the outcome, and the text of its Response."""


@contextmanager
def failing(what: str):
    """An error becomes the Failure whose text begins so."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name that no certificate can be for
        why = deadline.in_words(error)
        raise Failure(OURS if is_exhausted(error) else FAILED, why if isinstance(
            error, socket.timeout) else f"{what} ({why})") from None


class Poster:
    """Sends as the `[webhooks]` section asks, for one run; may be used from several threads at
    once. JobsError if that cannot work. With None for `allow_networks` it calls any address, this
    host's too: for URLs of the operator's own."""

    def __init__(self, webhooks) -> None:
        self.seconds = webhooks.timeout.total_seconds()
        self.allowed = webhooks.allow_networks
        self.outbox = webhooks.outbox
        # a file that cannot be read is the operator's to see, not one endpoint's
        self.context = deadline.tls_context("[webhooks] ca_file", webhooks.ca_file, besides=True)

    def post(self, request: Request) -> Response:
        """Send it once. Never raises, and takes `[webhooks] timeout` at most."""
        try:
            target, data = _prepare(request)  # before anybody is asked for a name
            if self.outbox:
                return _keep(self.outbox, request, data)
            with failing("the connection broke"):
                return self._post(target, data)
        except Failure as failure:
            outcome, text = failure.args
            return Response(outcome, text=text)

    def _post(self, target, data: bytes) -> Response:
        sock = self._connect(target)
        try:
            if target.secure:
                with failing("no TLS connection"):
                    sock = deadline.encrypted(sock, self.context, target.host)
            with closing(http.client.HTTPResponse(sock, method="POST")) as answer:
                # it may have answered and closed before it read all
                with suppress(ConnectionError):
                    sock.sendall(data)
                return _answer(answer, sock)
        finally:
            sock.close()

    def _connect(self, target) -> deadline.Socket:
        """Connected to a host whose addresses are all public, or allowed."""
        until = time.monotonic() + self.seconds
        with failing(f"the name {target.host} cannot be resolved"):
            found = deadline.look_up(target.host.encode("ascii"), target.port, until)
        if not all(self._may_call(family, address[0]) for family, *_, address in found):
            raise Failure(FAILED, NOT_PUBLIC)
        with failing("no connection"):
            return deadline.connect(found[:MOST_ADDRESSES], until)

    def _may_call(self, family, address: str) -> bool:
        return self.allowed is None or public_addresses.is_in(address, self.allowed) or (
            public_addresses.is_public(address) and not is_own(family, address))


def _prepare(request: Request) -> tuple:
    """(its Target, the request as it goes over the wire). Failure for a URL that we do not call,
    and for a header that would be two."""
    try:
        target = parse(request.url)
    except UrlError as error:
        raise Failure(FAILED, str(error)) from None
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.header}", f"User-Agent: {AGENT}",
             *(f"{name}: {value}" for name, value in request.headers),
             f"Content-Length: {len(request.body)}", "Accept: */*",
             "Connection: close"]
    if not all(line.isascii() and line.isprintable() for line in lines):
        raise Failure(UNSENDABLE, "a header of this delivery contains a control character, or "
                      "one that is not ASCII")
    return target, "\r\n".join([*lines, "", ""]).encode("ascii") + request.body


def _keep(folder: str, request: Request, data: bytes) -> Response:
    """Write a request into the folder, under the name of its item."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", str(request.item_id)) + ".http"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        write(os.path.join(folder, name), data)
    except OSError as error:
        why = error.strerror or error
        return Response(OURS, text=f"[webhooks] outbox = {folder}: {why}")
    return Response(ANSWERED, 200, "", "written into a file, not sent")


def _answer(answer: http.client.HTTPResponse, sock: deadline.Socket) -> Response:
    """The Response that comes in."""
    try:
        answer.begin()
        if answer.status < 200 or not sock.room:  # an interim one, or a head without an end
            raise http.client.HTTPException
    except http.client.HTTPException:
        raise Failure(FAILED, "there was no HTTP answer") from None
    body = b""
    # the status counts; it is read further than it is kept, so as not to cut off the other side
    with suppress(http.client.HTTPException, OSError):
        while piece := answer.read1(deadline.MOST):
            body += piece
    return Response(ANSWERED, answer.status, answer.headers.get("retry-after", ""),
                    excerpt(body))


def excerpt(body: bytes) -> str:
    """The beginning of an answer, printable."""
    text = body[:2 * EXCERPT].decode("utf-8", "replace")
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text.encode("utf-8")[:EXCERPT].decode("utf-8", "ignore")


def is_own(family, address: str) -> bool:
    """Whether it is this host's: only those can be bound to."""
    return _binds(family, address) and not _binds(family, BLACK_HOLE[family == socket.AF_INET6])


def _binds(family, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
