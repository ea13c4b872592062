"""The content of a message: opened with care, read twice, streamed the way SMTP wants it.

On the wire every line ends with CRLF, a line that begins with a dot gets a second one, and the
message ends with CRLF.CRLF (RFC 5321 4.5.2). A lone CR or LF becomes CRLF: relays refuse them, as
they hide smuggled messages.
"""
from __future__ import annotations

import io
import os
import stat

from jobs_lib.folders import no_access
from jobs_lib.ports.outcomes import FINAL, GIVEN_BACK, NOWHERE, RETRY, UNREADABLE, is_exhausted
from jobs_lib.text.addresses import AddressError, check

from . import IN_MEMORY, Envelope, Message, Result, reasons
from .replies import plain

CHUNK = 65536
ENCODING = ("utf-8", "surrogateescape")


class Unsendable(Exception):
    """The stored message cannot be sent now, for a reason of this host, or ever (FINAL)."""

    def __init__(self, outcome: str, reason: str, **values) -> None:
        super().__init__(reason.format(**values))
        self.outcome = outcome


class Transport:
    """What both kinds share: what must not leave is a Result."""

    def send(self, envelope: Envelope, message: Message, deadline: float, item_id: object):
        """The Result of one message to one recipient, whatever happens. deadline: monotonic
        seconds; item_id: unique over all queues, like `forward-12`."""
        try:
            sender = check(envelope.sender) if envelope.sender else ""
            checked = Envelope(sender, check(envelope.recipient))
            with open_message(message) as file:
                return self.deliver(checked, message.head or b"", file, deadline, item_id)
        except AddressError as error:
            return Result(FINAL, None, "5.1.3", plain(str(error)))
        except Unsendable as error:
            return Result(error.outcome, None, "", plain(str(error)))

    def deliver(self, envelope: Envelope, head: bytes, file, until: float, item_id: object):
        """The same, once both addresses and the file are found to be good."""
        raise NotImplementedError


def open_message(message: Message):
    """What comes after its head, as an open file. Unsendable when missing, empty, unreadable or no
    regular file: to open a pipe would hold the run for ever."""
    if message.path is IN_MEMORY:
        return io.BytesIO()
    try:
        state = os.stat(message.path)
        if not stat.S_ISREG(state.st_mode):
            raise Unsendable(FINAL, reasons.NOT_A_FILE)
        if not state.st_size:
            raise Unsendable(FINAL, reasons.EMPTY)
        return open(message.path, "rb")
    except OSError as error:
        if error.errno in NOWHERE:
            raise Unsendable(FINAL, reasons.MISSING) from None
        raise _unreadable(error) from None


def chunks(file):
    """What is in the file from its position on. Unsendable when reading fails."""
    try:
        while chunk := file.read(CHUNK):
            yield chunk
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: OSError) -> Unsendable:
    """Rights and disks can be put right."""
    if is_exhausted(error):
        return Unsendable(GIVEN_BACK, reasons.EXHAUSTED, error=error.strerror)
    return Unsendable(UNREADABLE, reasons.UNREADABLE, error=no_access(error))


class Content:
    """One message, ready to be offered (`size`, `eight_bit`) and sent (`blocks`). size: octets as
    SIZE counts them (RFC 1870: line ends as CRLF, without the doubled dots)."""

    def __init__(self, head: bytes, file) -> None:
        # as text, of which each octet comes back: it translates line ends across chunks
        self.head, self.file = head, io.TextIOWrapper(file, *ENCODING)
        self.size, self.eight_bit = 0, False
        for chunk in self._lines():
            self.size += len(chunk)
            self.eight_bit = self.eight_bit or not chunk.isascii()

    def _lines(self):
        """Head and file in chunks, none cut between CR and LF, with which each line ends."""
        chunk = self.head
        if chunk:
            yield chunk
        self.file.seek(0)
        for text in chunks(self.file):
            chunk = text.replace("\n", "\r\n").encode(*ENCODING)
            yield chunk
        if not chunk.endswith(b"\n"):
            yield b"\r\n"

    def blocks(self):
        """The bytes as they go over the wire; the last ones carry the final dot, before which
        Unsendable is raised when the file fails or is no longer what was announced."""
        waiting, total, at_line_start = b"", 0, True
        for chunk in self._lines():
            total += len(chunk)
            if waiting:
                yield waiting
            waiting = chunk.replace(b"\r\n.", b"\r\n..")
            if at_line_start and waiting.startswith(b"."):
                waiting = b"." + waiting
            at_line_start = chunk.endswith(b"\n")
        if total != self.size:
            raise Unsendable(RETRY, reasons.CHANGED)
        yield waiting + b".\r\n"
