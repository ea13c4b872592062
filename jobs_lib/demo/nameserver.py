"""A name server of the demo's own, on a loopback port and in the demo's folder, if knotd or nsd is
installed."""
from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time

from jobs_lib.errors import JobsError
from jobs_lib.folders import private, write

PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"))
LONGEST_START, LONGEST_STOP = 5.0, 3.0
LOG = "server.log"
HINT = "no name server to ask is installed (Debian: `apt-get install knot`, or nsd)"
# a question for a zone's SOA
SOA = b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00%s\x00\x06\x00\x01"
ZONE = """\
$ORIGIN {name}.
$TTL 60
@ SOA ns.invalid. hostmaster.invalid. 1 60 60 60 1
@ NS ns.invalid.
"""

# All paths are relative to the folder that it is started in: any sign may be in the folder's own
# name. That of the socket would be made absolute, and longer than a socket's may be.
KNOT = """\
server:
    listen: 127.0.0.1@{port}
    rundir: .
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
control:
    listen: "/proc/self/cwd/knot.sock"
database:
    storage: .
template:
  - id: default
    storage: .
    file: "%s.zone"
    zonefile-load: whole
    journal-content: none
    zonefile-sync: -1
zone:
"""
NSD = """\
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: ""
    database: ""
    pidfile: ""
    xfrdir: "."
    xfrdfile: "xfrd.state"
    zonelistfile: "zone.list"
remote-control:
    control-enable: no
"""
PROGRAMS = (("knotd", KNOT, "  - domain: {name}\n", ("-c", "server.conf")),
            ("nsd", NSD, "zone:\n    name: {name}\n    zonefile: {name}.zone\n",
             ("-d", "-c", "server.conf")))


def installed() -> list[tuple]:
    """Of `PROGRAMS` those that are here, each by its path."""
    return [(path, *rest) for name, *rest in PROGRAMS if (path := shutil.which(name, path=PLACES))]


class Nameserver:
    """Answers for `zones`, {name: its records as lines of a zone file}, as a context manager.

    folder  its own: deleted at the end
    JobsError, in one sentence, if there is none to start.
    """

    def __init__(self, folder: str, zones: dict) -> None:
        self.folder, self.zones = private(folder), zones
        self.port = 0
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        found = installed()
        if not found:
            raise JobsError(HINT)
        try:
            if any(self._start(*program) for program in found):
                return self
        except BaseException:               # Ctrl-C while it starts: nobody calls __exit__ then
            self._stop()
            raise
        raise JobsError(f"{found[0][0]} does not start here; {os.path.join(self.folder, LOG)} may "
                        "say why")

    def __exit__(self, *_) -> None:
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, program: str, server: str, zone: str, words: tuple) -> bool:
        """Whether it answers for its zones. It stays in our group, so that Ctrl-C reaches it,
        too."""
        self.port = free_port()
        for name, records in self.zones.items():
            write(os.path.join(self.folder, f"{name}.zone"), ZONE.format(name=name) + records)
        write(os.path.join(self.folder, "server.conf"),
              server.format(port=self.port) + "".join(zone.format(name=name)
                                                      for name in self.zones))
        with open(os.path.join(self.folder, LOG), "wb", opener=_private) as log:
            self.process = subprocess.Popen([program, *words], cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            umask=0o077)
        until = time.monotonic() + LONGEST_START
        while self.process.poll() is None and time.monotonic() < until:
            if all(_answers(self.port, name) for name in self.zones):
                return True
        self._stop()
        return False

    def _stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(LONGEST_STOP)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def free_port() -> int:
    """A loopback port that nobody uses now, neither by UDP nor by TCP."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            try:
                datagrams.bind(stream.getsockname())
            except OSError:
                continue
            return stream.getsockname()[1]


def _answers(port: int, zone: str) -> bool:
    """Whether it says NOERROR to a question for the zone's SOA."""
    name = b"".join(bytes([len(label)]) + label.encode() for label in zone.split(".")) + b"\0"
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        try:
            probe.connect(("127.0.0.1", port))
            probe.send(SOA % name)
            answer = probe.recv(512)
        except OSError:
            answer = b""
    if len(answer) > 3 and answer[3] & 15 == 0:
        return True
    time.sleep(0.02)
    return False
