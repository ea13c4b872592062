"""A socket that speaks SMTP lines, with a limit in time and size on everything the other side does.

A socket's own time limit is per call, so a server that sends one byte a minute holds it for ever.
Here each call gets what is left of the phase and of the whole message.
"""
from __future__ import annotations

import re
import socket
import time

from .replies import Disconnected, Reply

MAX_LINE = 8192            # octets; RFC 5321 4.5.3.1.5 asks for 512
MAX_LINES = 128            # of one reply
READ = 16384
WRITE = 65536

_REPLY = re.compile(rb"[2-5]\d\d(?:[ -]|\Z)")


class Connection:
    """One connection. `total` is the monotonic second that nothing may outlast; `allow` sets the
    phase's."""

    def __init__(self, sock) -> None:
        self.sock = sock
        self.buffer = b""
        self.ended = False
        self.total = self.until = time.monotonic()

    def allow(self, seconds: float) -> None:
        """Begins a phase of at most this many seconds."""
        self.until = min(self.total, time.monotonic() + seconds)

    def _left(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise Disconnected("no answer in time")
        return left

    def write(self, data: bytes) -> None:
        """All of data, within the phase."""
        view = memoryview(data)
        try:
            while view:
                self.sock.settimeout(self._left())
                view = view[self.sock.send(view[:WRITE]):]
        except socket.timeout:          # TimeoutError only from Python 3.10 on
            raise Disconnected("the server did not take the data in time") from None
        except OSError as error:
            raise Disconnected(f"the connection broke ({_words(error)})") from None

    def reply(self) -> Reply:
        """The next reply, within the phase (RFC 5321 4.2)."""
        lines: list[bytes] = []
        code = b""
        while True:
            line = self._line()
            if len(lines) == MAX_LINES or not _REPLY.match(line):
                raise Disconnected("the server's answer is not SMTP")
            if code and line[:3] != code:
                raise Disconnected("the server gave two codes in one answer")
            code = line[:3]
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return Reply(int(code), b"\n".join(lines))

    def _line(self) -> bytes:
        while True:
            line, end, rest = self.buffer.partition(b"\n")
            if end:
                self.buffer = rest
                return line.rstrip(b"\r")
            if len(line) > MAX_LINE:
                raise Disconnected("the server's answer has no end")
            self._fill()

    def _fill(self) -> None:
        try:
            self.sock.settimeout(self._left())
            data = b"" if self.ended else self.sock.recv(READ)
        except socket.timeout:          # TimeoutError only from Python 3.10 on
            raise Disconnected("no answer in time") from None
        except OSError as error:
            raise Disconnected(f"the connection broke ({_words(error)})") from None
        if not data:
            raise Disconnected("the server closed the connection")
        self.buffer += data

    def has_spoken(self) -> bool:
        """Whether something lies here that we did not ask for: a reply ahead of time, or the
        end."""
        if self.buffer or self.ended:
            return True
        try:
            self.sock.settimeout(0)
            self.buffer = self.sock.recv(READ)
            self.ended = not self.buffer
        except OSError as error:
            # nothing to read yet; over TLS a want-read error, which has no errno of the system
            waits = isinstance(error, BlockingIOError) or type(error).__name__ == "SSLWantReadError"
            self.ended = not waits
        return bool(self.buffer) or self.ended


def _words(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
