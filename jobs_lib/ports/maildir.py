"""The Maildir transport: each message becomes a file, for trying things out without a relay.

A message goes to `tmp/`, onto the disk, and by one rename to `new/`, under a name made from its item: a repeat
after a crash replaces the file and never doubles it. The envelope stands in two X-Envelope lines at the top.
"""
from __future__ import annotations

import os
import re

from jobs_lib.addresses import AddressError, check
from jobs_lib.ports.content import CHUNK, Unsendable, open_raw, unreadable
from jobs_lib.ports.mail import FINAL, RELAY, SENT, Result


class MaildirTransport:
    """Writes into `[mail] maildir`, which it makes when it is missing."""

    def __init__(self, mail) -> None:
        self.folder = mail.maildir

    def send(self, envelope, message, deadline: float, item_id) -> Result:
        """Stores one message. `item_id` names the item over all queues, like `forward-12`."""
        try:
            sender = check(envelope.sender) if envelope.sender else ""
            recipient = check(envelope.recipient)
            file, _ = open_raw(message.path)
        except AddressError as error:
            return Result(FINAL, None, "", str(error))
        except Unsendable as error:
            return Result(error.outcome, None, "", error.text)
        with file:
            try:
                return self._store(f"X-Envelope-From: <{sender}>\r\nX-Envelope-To: <{recipient}>\r\n".encode(),
                                   message.head or b"", file, item_id)
            except Unsendable as error:
                return Result(error.outcome, None, "", error.text)
            except OSError as error:
                return Result(RELAY, None, "", f"[mail] maildir = {self.folder}: {error.strerror or error}")

    def close(self) -> None:
        """Nothing is held open."""

    def _store(self, envelope: bytes, head: bytes, file, item_id) -> Result:
        for name in ("", "tmp", "new", "cur"):
            os.makedirs(os.path.join(self.folder, name), mode=0o700, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", str(item_id)) + ".jobs"
        draft = os.path.join(self.folder, "tmp", name)
        with open(draft, "wb", opener=lambda path, flags: os.open(path, flags | os.O_NOFOLLOW, 0o600)) as target:
            target.write(envelope + head)
            while True:
                chunk = file.read(CHUNK)
                if not chunk:
                    break
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        os.replace(draft, os.path.join(self.folder, "new", name))
        return Result(SENT, None, "", "stored")
