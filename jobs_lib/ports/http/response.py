"""Reading an HTTP/1.1 answer (RFC 9112) from somebody who may mean harm.

`http.client` waits for ever for the end of a run of `100 Continue`, and takes a promised length at
its word. Here each read gets what is left of one deadline, and all reads together get MOST bytes,
whatever they are.
"""
from __future__ import annotations

import re
import socket

from jobs_lib.records import namedtuple

from .connect import Deadline, Failure, reason
from .message import EXCERPT, FAILED

MOST = 65536                # bytes that are read of one answer, head and body
READ = 16384
MAX_LINE = 8192
MAX_INTERIM = 8             # answers such as `100 Continue` before the real one
BODY_SECONDS = 2.0          # for the body, once the status is known: it is only shown to people

# headers: {name in lower case: the first value}
Answer = namedtuple("Answer", "status headers body")

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?: |\Z)")
_CHUNK = re.compile(rb"\s*([0-9A-Fa-f]{1,8})\s*(?:;|\Z)")


class Reader:
    """What comes in on one connection."""

    def __init__(self, sock, deadline: Deadline) -> None:
        self.sock, self.deadline, self.buffer, self.read, self.ended = sock, deadline, b"", 0, False

    def answer(self) -> Answer:
        """The whole answer. Failure without a status; of a body that does not come to its end, what
        came of it."""
        for _ in range(MAX_INTERIM + 1):
            found = _STATUS.match(self._line())
            if not found:
                raise Failure(FAILED, "the answer is not HTTP")
            status, headers = int(found[1]), self._headers()
            if status == 101:
                raise Failure(FAILED, "the answer is not HTTP")
            if status >= 200:
                return Answer(status, headers, self._body(status, headers))
        raise Failure(FAILED, "the answer never comes to its status")

    def _headers(self) -> dict:
        headers: dict = {}
        while line := self._line():
            before, colon, value = line.partition(b":")
            name = before.strip().lower().decode("latin-1")
            if colon:
                headers.setdefault(name, value.strip().decode("latin-1"))
        return headers

    def _line(self) -> bytes:
        while b"\n" not in self.buffer:
            if len(self.buffer) > MAX_LINE:
                raise Failure(FAILED, "the answer has a line without an end")
            if not self._fill():
                raise Failure(FAILED, "the answer is too long" if self.read >= MOST else
                              "the connection ended before the answer did")
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def _body(self, status: int, headers: dict) -> bytes:
        """As much of the body as EXCERPT needs, and the rest only so far that the other side is not
        cut off."""
        length = headers.get("content-length", "")
        encoding = headers.get("transfer-encoding", "").lower()
        if status in (204, 304):
            return b""
        try:
            self.deadline = Deadline(min(BODY_SECONDS, self.deadline.left()))
            if encoding.endswith("chunked"):
                return self._chunks()
            is_known = length.isascii() and length.isdecimal() and len(length) < 10
            return self._plain(int(length) if is_known else None)
        except Failure:             # the status counts
            return self.buffer[:EXCERPT]

    def _plain(self, length: int | None) -> bytes:
        most = MOST if length is None else length
        while len(self.buffer) < min(most, MOST) and self._fill():
            pass
        return self.buffer[:min(most, EXCERPT)]

    def _chunks(self) -> bytes:
        body = b""
        try:
            while found := _CHUNK.match(self._line()):
                size = int(found[1], 16)
                if not size:
                    break
                while len(self.buffer) < size + 2 and self._fill():
                    pass
                body += self.buffer[:size]
                self.buffer = self.buffer[size + 2:]
        except Failure:
            body += self.buffer
        return body[:EXCERPT]

    def _fill(self) -> bool:
        """Read on; False at the end, the other side's or ours."""
        if self.ended or self.read >= MOST:
            return False
        try:
            self.sock.settimeout(self.deadline.left())
            data = self.sock.recv(min(READ, MOST - self.read))
        except socket.timeout:      # TimeoutError only from Python 3.10 on
            raise self.deadline.missed() from None
        except OSError as error:
            if self.read:           # a TLS connection that is cut, or a reset behind a whole answer
                data = b""
            else:
                raise Failure(FAILED, f"the connection broke ({reason(error)})") from None
        self.read += len(data)
        self.buffer += data
        self.ended = not data
        return not self.ended


def excerpt(body: bytes) -> str:
    """The beginning of an answer as it may be stored and shown: printable, at most EXCERPT
    bytes."""
    text = body.decode("utf-8", "replace")
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text.encode("utf-8")[:EXCERPT].decode("utf-8", "ignore")
