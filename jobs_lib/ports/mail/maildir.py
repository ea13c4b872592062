"""The Maildir transport: each message becomes a file, to try things out without a relay.

A message goes to `tmp/`, onto the disk, and by one rename to `new/`, under a name made from its
item: a repeat after a crash replaces the file. The envelope is in two X-Envelope lines at the top.
"""
from __future__ import annotations

import os
import re

from jobs_lib.folders import open_own, publish
from jobs_lib.ports.outcomes import GIVEN_BACK, RELAY, SENT, is_exhausted

from . import Envelope, Result, reasons
from .content import Transport, chunks
from .replies import plain


class MaildirTransport(Transport):
    """Writes into `[mail] maildir`, which it makes when it is missing."""

    def __init__(self, mail) -> None:
        self.folder = mail.maildir

    def deliver(self, envelope: Envelope, head: bytes, file, until: float,
                item_id: object) -> Result:
        """Store one message."""
        name = re.sub(r"[^A-Za-z0-9._-]", "_", str(item_id)).lstrip(".") + ".jobs"
        draft, path = (os.path.join(self.folder, each, name) for each in ("tmp", "new"))
        try:
            for each in ("", "tmp", "new", "cur"):
                os.makedirs(os.path.join(self.folder, each), mode=0o700, exist_ok=True)
            with open(draft, "wb", opener=open_own) as target:  # it may be left from a crash
                target.write(f"X-Envelope-From: <{envelope.sender}>\r\n"
                             f"X-Envelope-To: <{envelope.recipient}>\r\n".encode() + head)
                target.writelines(chunks(file))
                target.flush()
                os.fsync(target.fileno())
            publish(draft, path)
        except OSError as error:
            if is_exhausted(error):
                return Result(GIVEN_BACK, None, "", reasons.EXHAUSTED.format(error=error.strerror))
            text = f"[mail] maildir = {self.folder}: {error.strerror or error}"
            return Result(RELAY, None, "", plain(text))
        return Result(SENT, None, "", "stored")

    def close(self) -> None:
        """Does nothing: no connection is kept."""
