"""The Maildir transport: each message becomes a file, to try things out without a relay.

A message goes to `tmp/`, onto the disk, and by one rename to `new/`, under a name made from its
item: a repeat after a crash replaces the file and never doubles it, and one that a mail reader has
moved to `cur/` stays as it is. The envelope is in two X-Envelope lines at the top.
"""
from __future__ import annotations

import os
import re

from jobs_lib.folders import open_own, publish
from jobs_lib.ports.outcomes import GIVEN_BACK, RELAY, SENT, is_exhausted

from . import reasons
from .content import Transport, chunks, open_message
from .message import Envelope, Message, Result
from .replies import plain


class MaildirTransport(Transport):
    """Writes into `[mail] maildir`, which it makes when it is missing."""

    def __init__(self, mail) -> None:
        self.folder = mail.maildir
        self.read: set | None = None     # names in cur/ without their flags, once looked up

    def deliver(self, envelope: Envelope, message: Message, deadline: float,
                item_id: object) -> Result:
        """Store one message."""
        try:
            with open_message(message) as file:
                return self._store(envelope, message.head or b"", file, item_id)
        except OSError as error:
            if is_exhausted(error):
                return Result(GIVEN_BACK, None, "", reasons.EXHAUSTED.format(error=error.strerror))
            text = f"[mail] maildir = {self.folder}: {error.strerror or error}"
            return Result(RELAY, None, "", plain(text))

    def close(self) -> None:
        """Does nothing: no connection is kept."""

    def _store(self, envelope: Envelope, head: bytes, file, item_id) -> Result:
        if self.read is None:
            self.read = self._prepare()
        name = re.sub(r"[^A-Za-z0-9._-]", "_", str(item_id)).lstrip(".") + ".jobs"
        if name in self.read:
            return Result(SENT, None, "", "stored before")
        draft = os.path.join(self.folder, "tmp", name)      # a repeat replaces one that is left
        with open(draft, "wb", opener=open_own) as target:
            target.write(f"X-Envelope-From: <{envelope.sender}>\r\n"
                         f"X-Envelope-To: <{envelope.recipient}>\r\n".encode() + head)
            target.writelines(chunks(file))
            target.flush()
            os.fsync(target.fileno())
        publish(draft, os.path.join(self.folder, "new", name))
        return Result(SENT, None, "", "stored")

    def _prepare(self) -> set:
        """Makes the folders, for us alone; the names of what a mail reader has taken already."""
        for name in ("", "tmp", "new", "cur"):
            os.makedirs(os.path.join(self.folder, name), mode=0o700, exist_ok=True)
        return {name.partition(":")[0] for name in os.listdir(os.path.join(self.folder, "cur"))}
