"""A server program of a test: in a temporary folder of its own, on a free loopback port."""
from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.servers.ports import free_port

PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """A killed test run must not leave a server behind (there is such a call on Linux alone)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def below(pid: int) -> list[int]:
    """The processes that it started, and those that they did."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True).stdout
    return [each for child in map(int, found.split()) for each in (child, *below(child))]


class Server:
    """`with Redis() as broker:`; a subclass says by `command` what is started, and by `answers`
    whether it is up. `stop()` ends it as a host would, `start()` brings it back with its data."""

    def __init__(self, place: str | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{type(self).__name__}-", dir=place))
        self.port = free_port()
        self.folder.chmod(0o755)            # some take another user's rights
        self.process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict:
        return dict(os.environ)

    def answers(self) -> bool:
        """Whether it is up."""
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            return True
        return False

    def start(self) -> None:
        """Come up; returns when it answers."""
        with open(self.folder / "out", "ab") as out:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdout=out, stderr=out,
                                            env=self.environment(), stdin=subprocess.DEVNULL,
                                            start_new_session=True, preexec_fn=_die_with_parent)
        until = time.monotonic() + 90
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{type(self).__name__} did not start:\n"
                                   + (self.folder / "out").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGKILL) -> None:
        """Send that to all its processes, and wait for its end."""
        process, self.process = self.process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            process.wait(60)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
