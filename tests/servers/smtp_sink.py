"""Postfix's `smtp-sink` as a private relay; its dump files say what it took."""
from __future__ import annotations

import contextlib
import email
import os
import re
from collections import Counter

from tests.servers.process import Server
from tests.support.require import program


class Sink(Server):
    """An smtp-sink. `arguments` are its own (`-p`, `-r RCPT`, ...); without a dump it is fast."""

    def __init__(self, *arguments: str, dump: bool = True) -> None:
        super().__init__()
        self.arguments = [*arguments, *(("-d", "dump/m.") if dump else ())]
        if os.geteuid() == 0:
            # smtp-sink refuses to run as root with dump files
            self.folder.chmod(0o777)
            self.arguments += ["-u", "nobody"]

    def command(self) -> list[str]:
        return [program("smtp-sink", "postfix"), "-c", *self.arguments, f"127.0.0.1:{self.port}",
                "64"]

    def messages(self) -> list:
        """(sender, recipients, content) of each message taken, oldest first, the content with LF
        line ends. A transaction that brings none is an empty file, until the sink removes it."""
        found = []
        for path in self.folder.glob("dump/m.*"):
            with contextlib.suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path.read_bytes()))
        return [_read(dump) for _, dump in sorted(found) if dump]

    def count(self) -> Counter:
        """How often each Message-ID was taken."""
        return Counter(email.message_from_bytes(each[2])["Message-ID"] for each in self.messages())


def _read(dump: bytes):
    """One of them, without the sink's own head lines and its last line end."""
    head = re.match(rb"((?:X-.*\n)+)Received: .*\n(?:\t.*\n)*", dump)
    sender, *recipients = re.findall(r"(?m)^X-(?:Mail|Rcpt)-Args: <(.*?)>", head[1].decode())
    return sender, recipients, dump[head.end():-1]
