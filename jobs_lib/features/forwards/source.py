"""Failed forwards as a source of mail: what a row's message is; and the head of a raw message: how
often it was relayed, our own mark in it, and what a person would call it."""
from __future__ import annotations

import hmac

from jobs_lib.engines import spool
from jobs_lib.engines.due import due
from jobs_lib.errors import JobsError
from jobs_lib.features.queues import FORWARDS
from jobs_lib.ports.mail import Envelope, Message, Result, reasons
from jobs_lib.ports.mail.content import Unsendable, open_message
from jobs_lib.ports.outcomes import FINAL
from jobs_lib.text import one_line
from jobs_lib.text.addresses import check

from . import srs

HEAD_BYTES = 64 * 1024                 # more header than this is nobody's
MAX_HOPS = 50                          # more Received lines than this are a mail loop
# put before each message we forward; found again, it has come in a circle
MARK = b"X-Alias-Forwarded"


class Forwards:
    """The raw messages of the spool, byte for byte, each behind our mark."""

    event, to = "forward", "envelope_to"

    def __init__(self, ctx) -> None:
        self.ctx, self.mail, self.spool = ctx, ctx.section("mail"), ctx.section("spool").dir
        self.srs_secret = self.mail.srs_secret or ctx.secret("srs").hex()
        self.loop_key = ctx.secret("loop")
        # before any of them has begun
        if due(ctx, FORWARDS).any() and (wrong := spool.all_missing(ctx.db, self.spool)):
            raise JobsError(wrong)

    def why_not(self, row: dict) -> str | None:
        """Its file is missing."""
        return None if spool.is_there(self.spool, row["raw_path"]) else reasons.MISSING

    def prepare(self, row: dict) -> tuple[Envelope, Message] | Result:
        """Look at the message once more, and rewrite its sender."""
        check(row["envelope_to"])
        try:
            path = spool.locate(self.spool, row["raw_path"])
            mark = trace_head(self.loop_key, row["alias_id"], row["envelope_to"])
            loop = loop_reason(path, mark)
            if loop:
                return Result(FINAL, None, "5.4.6", loop)
            sender = srs.forward(row["envelope_from"], self.mail.domain, self.srs_secret,
                                 self.ctx.clock())
        except (spool.SpoolError, srs.SrsError) as error:
            return Result(FINAL, None, "", str(error))
        return Envelope(sender, row["envelope_to"]), Message(path, mark)

    def sent(self, row: dict) -> None:
        """Its file is deleted with the row."""


# The head of a raw message

def head_of(path: str) -> bytes:
    """The header lines, up to the empty line, with LF line ends; none where the file cannot be
    read: that is the transport's to report."""
    try:
        with open_message(Message(path, b"")) as file:
            data = file.read(HEAD_BYTES)
    except (Unsendable, OSError):
        return b""
    return data.replace(b"\r\n", b"\n").partition(b"\n\n")[0]


def loop_reason(path: str, mark: bytes) -> str:
    """Why this message goes round in a circle, or "". `mark`: what `trace_head` puts before it."""
    head = b"\n" + head_of(path).lower()
    hops = head.count(b"\nreceived:")         # RFC 5321 6.3
    if hops > MAX_HOPS:
        return f"mail loop: the message was relayed {hops} times"
    if mark.strip().lower() in head.split(b"\n"):
        return "mail loop: we have forwarded this message to this address before"
    return ""


def trace_head(key: bytes, alias: object, recipient: str) -> bytes:
    """Our mark for this way, from an alias (its id) to a recipient: by nothing else, so that each
    attempt sends the same bytes; by both, so that nobody sees which aliases lead to one address."""
    way = f"{alias}\0{recipient.lower()}".encode("utf-8", "surrogateescape")
    mark = hmac.digest(key, way, "sha256").hex()[:20]
    return MARK + b": " + mark.encode() + b"\r\n"


def read_headers(folder: str, raw_path):
    """The head of a row's message, parsed by the standard library, for a notice; an empty one where
    there is no such file."""
    from email import message_from_bytes
    from email.policy import default
    try:
        head = head_of(spool.locate(folder, raw_path))
    except spool.SpoolError:
        head = b""
    return message_from_bytes(head + b"\n\n", policy=default)


def header_text(headers, name: str) -> str:
    """A header in words, on one line, decoded, cut; "" when it is missing or cannot be decoded."""
    try:
        return one_line(str(headers.get(name, "")))
    except Exception:           # noqa: BLE001  (hostile headers: the email package raises anything)
        return ""
