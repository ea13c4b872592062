"""Postfix's `smtp-sink` as a private relay on a free loopback port; its dump files say what it
took."""
from __future__ import annotations

import contextlib
import email
import os
import re
import socket
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.servers.ports import free_port
from tests.support.require import program


def await_port(port: int, process=None) -> None:
    """Returns once somebody listens there; raises when `process` has ended instead, or after a
    minute."""
    for _ in range(2400):
        if process is not None and process.poll() is not None:
            raise RuntimeError(process.stderr.read().decode())
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        time.sleep(0.025)
    raise RuntimeError(f"nobody listens on port {port}")


class Sink:
    """A running smtp-sink. `arguments` are its own (`-p`, `-r RCPT`, ...); without a dump it is
    fast."""

    def __init__(self, *arguments: str, dump: bool = True) -> None:
        binary = program("smtp-sink", "postfix")
        self.folder = tempfile.TemporaryDirectory(prefix="sink-")
        self.port = free_port()
        command = [binary, "-c", *arguments]
        if dump:
            command += ["-d", "dump/m."]
        if os.geteuid() == 0:
            # smtp-sink refuses to run as root with dump files
            os.chmod(self.folder.name, 0o777)
            command += ["-u", "nobody"]
        command += [f"127.0.0.1:{self.port}", "64"]
        self.process = subprocess.Popen(command, cwd=self.folder.name, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        await_port(self.port, self.process)

    def dumps(self) -> list:
        """The raw dump of each message taken, oldest first. A transaction that was begun and brings
        none is an empty file, until the sink removes it."""
        found = []
        for path in Path(self.folder.name).glob("dump/m.*"):
            with contextlib.suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path.read_bytes()))
        return [dump for _, dump in sorted(found) if dump]

    def messages(self) -> list:
        """(sender, recipients, content) of each message taken, the content with LF line ends."""
        return [read_dump(dump) for dump in self.dumps()]

    def count(self) -> Counter:
        """How often each Message-ID was taken."""
        return Counter(email.message_from_bytes(content)["Message-ID"] for _, _,
                       content in self.messages())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()
        self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def read_dump(dump: bytes):
    """Sender, recipients and content of one dump: without the sink's own head lines and its last
    line end."""
    head = re.match(rb"((?:X-.*\n)+)Received: .*\n(?:\t.*\n)*", dump)
    sender = re.search(rb"(?m)^X-Mail-Args: <(.*?)>", head[1])[1].decode()
    recipients = [match.decode() for match in re.findall(rb"(?m)^X-Rcpt-Args: <(.*?)>", head[1])]
    return sender, recipients, dump[head.end():-1]
