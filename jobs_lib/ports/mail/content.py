"""The content of a message: opened with care, read at most twice, streamed the way SMTP wants it.

On the wire every line ends with CRLF, a line that begins with a dot gets a second one, and the
message ends with CRLF.CRLF (RFC 5321 4.5.2). A lone CR or LF becomes CRLF: relays refuse them, as
they hide smuggled messages.
"""
from __future__ import annotations

import errno
import io
import os
import stat

from jobs_lib.ports.outcomes import FINAL, GIVEN_BACK, RETRY, is_exhausted

from . import reasons
from .message import IN_MEMORY, Message

CHUNK = 65536
SMALL = 4 * CHUNK          # up to this size a message is held in memory and read just once
_HOPELESS = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO)


class Unsendable(Exception):
    """The stored message cannot be sent now (`outcome` retry) or ever (final)."""

    def __init__(self, outcome: str, reason: reasons.Reason, **values) -> None:
        self.outcome = outcome
        self.text = reason.text(**values)
        super().__init__(self.text)


def open_message(message: Message):
    """What comes after its head: the open file and its size, see `open_raw`; nothing for one that
    is in no file."""
    return (io.BytesIO(), 0) if message.path is IN_MEMORY else open_raw(message.path)


def open_raw(path):
    """The open stored file and its size; Unsendable when missing, empty, unreadable or no regular
    file."""
    try:
        # without O_NONBLOCK a pipe in the spool would hold the run for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise Unsendable(FINAL, reasons.MISSING) from None
    except (ValueError, TypeError):
        raise Unsendable(FINAL, reasons.NOT_A_PATH) from None
    except OSError as error:
        raise _unreadable(error) from None
    state = os.fstat(descriptor)
    if stat.S_ISREG(state.st_mode) and state.st_size:
        return open(descriptor, "rb", buffering=0), state.st_size
    os.close(descriptor)
    if stat.S_ISREG(state.st_mode):
        raise Unsendable(FINAL, reasons.EMPTY)
    raise Unsendable(FINAL, reasons.NOT_A_FILE)


def chunks(file):
    """The file's bytes from its position on. Raises Unsendable when reading fails."""
    while True:
        try:
            chunk = file.read(CHUNK)
        except OSError as error:
            raise _unreadable(error) from None
        if not chunk:
            return
        yield chunk


def _unreadable(error: OSError) -> Unsendable:
    """Rights and disks can be fixed; a name that no file can have cannot."""
    if is_exhausted(error):
        return Unsendable(GIVEN_BACK, reasons.EXHAUSTED, error=error.strerror)
    outcome = FINAL if error.errno in _HOPELESS else RETRY
    return Unsendable(outcome, reasons.UNREADABLE, error=error.strerror)


class Normaliser:
    """Turns chunks into chunks with CRLF line ends; a CR at a chunk's end waits for the next
    chunk."""

    def __init__(self) -> None:
        self.waiting = False
        self.line_start = True

    def feed(self, chunk: bytes) -> bytes:
        """The chunk with CRLF only; what comes out never ends between a CR and its LF."""
        if self.waiting:
            chunk = b"\r" + chunk
        self.waiting = chunk.endswith(b"\r")
        if self.waiting:
            chunk = chunk[:-1]
        pairs = chunk.count(b"\r\n")
        if chunk.count(b"\n") != pairs or chunk.count(b"\r") != pairs:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        if chunk:
            self.line_start = chunk.endswith(b"\n")
        return chunk

    def end(self) -> bytes:
        """What is still owed: the CRLF of a waiting CR, or of an unfinished last line."""
        return b"\r\n" if self.waiting or not self.line_start else b""


class Content:
    """One message, ready to be offered (`size`, `eight_bit`) and sent (`blocks`). A context
    manager.

    size: octets as SIZE counts them (RFC 1870: line ends as CRLF, without the doubled dots).
    """

    def __init__(self, message: Message) -> None:
        self.head = message.head or b""
        self.file, length = open_message(message)
        try:
            self.whole = self._read_small(length) if length <= SMALL else None
            self.size = 0
            self.eight_bit = False
            for chunk in self._normalised():
                self.size += len(chunk)
                self.eight_bit = self.eight_bit or not chunk.isascii()
        except BaseException:
            self.file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def _read_small(self, length: int):
        """All of it, normalised; None when the file has another length by now."""
        try:
            data = self.file.read(length + 1)
        except OSError as error:
            raise _unreadable(error) from None
        if len(data) != length:
            return None
        normal = Normaliser()
        return normal.feed(self.head + data) + normal.end()

    def _normalised(self):
        """Head and file as normalised chunks."""
        if self.whole is not None:
            yield self.whole
            return
        self.file.seek(0)
        normal = Normaliser()
        yield normal.feed(self.head)
        for chunk in chunks(self.file):
            yield normal.feed(chunk)
        yield normal.end()

    def blocks(self):
        """(bytes, is_last) as they go over the wire; the last ones carry the final dot.

        Raises Unsendable, before the dot, when the file fails or is no longer what was announced.
        """
        waiting = b""
        line_start = True
        total = 0
        for chunk in self._normalised():
            if not chunk:
                continue
            total += len(chunk)
            if waiting:
                yield waiting, False
            waiting = stuff(chunk, line_start)
            line_start = chunk.endswith(b"\n")
        if total != self.size:
            raise Unsendable(RETRY, reasons.CHANGED)
        yield waiting + b".\r\n", True


def stuff(chunk: bytes, line_start: bool) -> bytes:
    """Doubles the dot at the beginning of each line of normalised bytes."""
    chunk = chunk.replace(b"\r\n.", b"\r\n..")
    return b"." + chunk if line_start and chunk.startswith(b".") else chunk
