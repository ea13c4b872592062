"""Private name servers on loopback ports: Knot with the zones, Unbound as the resolver before it,
a slow one, and a silent one.

    with Authority() as authority, Unbound(authority) as resolver:
        authority.zone("example.org", "@ TXT hello")
"""
from __future__ import annotations

import asyncio
import re
import signal
import socket
import threading
import time

from tests.servers.process import Server
from tests.support.require import program

KNOT = """\
server:
    listen: 127.0.0.1@{port}
    rundir: {folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    tcp-idle-timeout: 2
database:
    storage: {folder}
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: {folder}
    file: "%s.zone"
    zonefile-load: whole
    journal-content: none
    zonefile-sync: -1
zone:
"""
UNBOUND = """\
server:
    interface: 127.0.0.1@{port}
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    verbosity: 0
    do-daemonize: no
    do-ip6: no
    num-threads: 1
    do-not-query-localhost: no
    module-config: "iterator"
    access-control: 127.0.0.0/8 {access}
    cache-max-ttl: 0
    cache-max-negative-ttl: 0
    infra-host-ttl: 0
    outbound-msg-retry: 4
    unknown-server-time-limit: 400
    qname-minimisation: no
    edns-buffer-size: 1232
    max-udp-size: 512
stub-zone:
    name: "."
    stub-addr: 127.0.0.1@{authority}
    stub-prime: no
"""
SOA = "$TTL 60\n@ SOA ns.invalid. hostmaster.invalid. {serial} 60 60 60 1\n@ NS ns.invalid.\n"


class _NameServer(Server):
    def answers(self) -> bool:
        """Whether it answers anything at all."""
        return _speaks(self.port)


def _speaks(port: int) -> bool:
    """Whether some answer comes to a question for the root's SOA."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        try:
            probe.connect(("127.0.0.1", port))
            probe.send(b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x06\x00\x01")
            return bool(probe.recv(512))
        except OSError:
            time.sleep(0.02)
            return False


class Authority(_NameServer):
    """Knot: answers for the zones it was given, and for the root, so that a name of no zone does
    not exist."""

    def __init__(self) -> None:
        super().__init__()
        self.binary = program("knotd", "knot")
        self.zones: list[str] = []
        self.serial = 1
        self._write(".", "")

    def command(self) -> list[str]:
        return [self.binary, "-c", str(self.folder / "knot.conf")]

    def zone(self, name: str, records: str) -> None:
        """The zone has these records from now on, a line each: `@ TXT "..."`, `sel._domainkey CNAME
        ...`."""
        self._write(name, records)
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)
            until = time.monotonic() + 60
            while self._serial_of(name) != self.serial:
                if time.monotonic() > until:
                    raise RuntimeError(f"zone {name} was not loaded")
                time.sleep(0.01)

    def spoil(self, name: str) -> None:
        """From now on the zone cannot be read: SERVFAIL, at once."""
        self.stop()
        (self.folder / f"{name}.zone").write_text("nonsense\n")
        self.start()

    def _write(self, name: str, records: str) -> None:
        self.serial += 1
        if name not in self.zones:
            self.zones.append(name)
        head = f"$ORIGIN {name.rstrip('.')}.\n{SOA.format(serial=self.serial)}"
        (self.folder / f"{name}.zone").write_text(head + re.sub(r"(?m)^\s+", "", records) + "\n")
        lines = "".join(f"  - domain: {zone}\n    file: {self.folder}/{zone}.zone\n"
                        for zone in self.zones)
        (self.folder / "knot.conf").write_text(KNOT.format(port=self.port, folder=self.folder)
                                               + lines)

    def _serial_of(self, name: str) -> int | None:
        import dns.message
        import dns.query
        query = dns.message.make_query(name.rstrip(".") + ".", "SOA")
        try:
            answer = dns.query.udp(query, "127.0.0.1", 0.5, self.port).answer
        except dns.exception.Timeout:
            return None
        return answer[0][0].serial if answer else None


class Unbound(_NameServer):
    """A resolver that asks `authority`; answers over 512 bytes are cut off, so that they have to
    come by TCP.

    access: `allow`, or `refuse` to have everything answered by REFUSED.
    """

    def __init__(self, authority: Authority, access: str = "allow") -> None:
        super().__init__()
        self.binary = program("unbound", "unbound")
        (self.folder / "unbound.conf").write_text(
            UNBOUND.format(port=self.port, folder=self.folder, authority=authority.port,
                           access=access))

    def command(self) -> list[str]:
        return [self.binary, "-d", "-p", "-c", str(self.folder / "unbound.conf")]


class Slow(asyncio.DatagramProtocol):
    """A resolver that is far away: it says of every name, after `seconds`, that there is none; or,
    with `until`, once so many questions have come, which wait side by side. With neither it never
    answers. `asked`: the questions that have come."""

    def __init__(self, seconds: float = 0.0, until: int = 0) -> None:
        self.seconds, self.until = seconds, until
        self.asked: list = []

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.transport, _ = self.loop.run_until_complete(
            self.loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0)))
        self.port = self.transport.get_extra_info("sockname")[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.transport.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def datagram_received(self, data, addr):
        """A question has come."""
        self.asked.append((data, addr))
        if len(self.asked) == self.until:
            for question in self.asked:
                self._answer(question)
        elif self.seconds:
            self.loop.call_later(self.seconds, self._answer, (data, addr))

    def _answer(self, question) -> None:
        data, addr = question
        self.transport.sendto(data[:2] + b"\x81\x83" + data[4:6] + bytes(6)
                              + data[12:data.index(0, 12) + 5], addr)
