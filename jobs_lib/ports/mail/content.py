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
from itertools import chain

from jobs_lib.ports.outcomes import FINAL, GIVEN_BACK, RETRY, UNREADABLE, is_exhausted
from jobs_lib.text.addresses import AddressError, check

from . import reasons
from .message import IN_MEMORY, Envelope, Message, Result
from .replies import plain

CHUNK = 65536
_HOPELESS = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO)


class Unsendable(Exception):
    """The stored message cannot be sent now, for a reason of this host, or ever (final)."""

    def __init__(self, outcome: str, reason: str, **values) -> None:
        self.outcome = outcome
        self.text = reason.format(**values)
        super().__init__(self.text)


class Transport:
    """What both kinds share: an address or a content that must not leave is a Result."""

    def send(self, envelope: Envelope, message: Message, deadline: float, item_id: object):
        """The Result of one message to one recipient, whatever happens. deadline: monotonic
        seconds; item_id: unique over all queues, like `forward-12`."""
        try:
            sender = check(envelope.sender) if envelope.sender else ""
            checked = Envelope(sender, check(envelope.recipient))
            return self.deliver(checked, message, deadline, item_id)
        except AddressError as error:
            return Result(FINAL, None, "5.1.3", plain(str(error)))
        except Unsendable as error:
            return Result(error.outcome, None, "", plain(error.text))

    def deliver(self, envelope: Envelope, message: Message, deadline: float, item_id: object):
        """The same for addresses that are fit for the wire."""
        raise NotImplementedError


def open_message(message: Message):
    """What comes after its head, as an open file. Unsendable when missing, empty, unreadable or no
    regular file."""
    if message.path is IN_MEMORY:
        return io.BytesIO()
    try:
        # without O_NONBLOCK a pipe in the spool would hold the run for ever
        descriptor = os.open(message.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise Unsendable(FINAL, reasons.MISSING) from None
    except (ValueError, TypeError):
        raise Unsendable(FINAL, reasons.NOT_A_PATH) from None
    except OSError as error:
        raise _unreadable(error) from None
    state = os.fstat(descriptor)
    if stat.S_ISREG(state.st_mode) and state.st_size:
        return open(descriptor, "rb", buffering=0)
    os.close(descriptor)
    is_file = stat.S_ISREG(state.st_mode)
    raise Unsendable(FINAL, reasons.EMPTY if is_file else reasons.NOT_A_FILE)


def chunks(file):
    """The file's bytes from its position on. Raises Unsendable when reading fails."""
    try:
        while chunk := file.read(CHUNK):
            yield chunk
    except OSError as error:
        raise _unreadable(error) from None


def _unreadable(error: OSError) -> Unsendable:
    """Rights and disks can be fixed; a name that no file can have cannot."""
    if is_exhausted(error):
        return Unsendable(GIVEN_BACK, reasons.EXHAUSTED, error=error.strerror)
    outcome = FINAL if error.errno in _HOPELESS else UNREADABLE
    return Unsendable(outcome, reasons.UNREADABLE, error=error.strerror)


class Content:
    """One message, ready to be offered (`size`, `eight_bit`) and sent (`blocks`). A context
    manager.

    size: octets as SIZE counts them (RFC 1870: line ends as CRLF, without the doubled dots).
    """

    def __init__(self, message: Message) -> None:
        self.head, self.file = message.head or b"", open_message(message)
        self.size, self.eight_bit, self.kept = 0, False, b""
        try:
            for chunk in self._lines():
                self.size += len(chunk)
                self.eight_bit = self.eight_bit or not chunk.isascii()
                if self.size <= CHUNK:              # else it is read again
                    self.kept += chunk
        except BaseException:
            self.file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def _lines(self):
        """Head and file in chunks in which each line ends with CRLF, the last one too. None ends
        between a CR and its LF."""
        # as text of one character an octet, since the library knows how to translate line ends
        # across chunks
        translated = io.IncrementalNewlineDecoder(None, translate=True)
        self.file.seek(0)
        stored, last = chunks(self.file), "\n"
        for chunk in chain([self.head + next(stored, b"")], stored, [None]):
            text = translated.decode((chunk or b"").decode("latin-1"), chunk is None)
            last = text[-1:] or last
            yield text.replace("\n", "\r\n").encode("latin-1")
        if last != "\n":
            yield b"\r\n"

    def blocks(self):
        """(bytes, is_last) as they go over the wire; the last ones carry the final dot.

        Raises Unsendable, before the dot, when the file fails or is no longer what was announced.
        """
        waiting, total, at_line_start = b"", 0, True
        is_kept = len(self.kept) == self.size
        for chunk in [self.kept] if is_kept else filter(None, self._lines()):
            total += len(chunk)
            if waiting:
                yield waiting, False
            waiting = chunk.replace(b"\r\n.", b"\r\n..")
            if at_line_start and waiting.startswith(b"."):
                waiting = b"." + waiting
            at_line_start = chunk.endswith(b"\n")
        if total != self.size:
            raise Unsendable(RETRY, reasons.CHANGED)
        yield waiting + b".\r\n", True
