"""Private name servers on loopback: Unbound with zones of its own, a slow one, a silent one."""
from __future__ import annotations

import asyncio
import socket
import threading
import time

from tests.servers.process import Server
from tests.support.require import program

UNBOUND = """\
server:
    interface: 127.0.0.1@{port}
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    do-ip6: no
    num-threads: 1
    module-config: "iterator"
    access-control: 127.0.0.0/8 {access}
    cache-max-ttl: 0
    cache-max-negative-ttl: 0
    max-udp-size: 512
"""
ZONE = """\
auth-zone:
    name: "{name}"
    zonefile: "{name}.zone"
    for-downstream: no
    fallback-enabled: no
"""
SOA = "$ORIGIN {}.\n$TTL 60\n@ SOA ns.invalid. hostmaster.invalid. 1 60 60 60 1\n@ NS ns.invalid.\n"


class Unbound(Server):
    """A resolver that has all zones itself, the root among them: a name of no zone does not exist.
    Answers over 512 bytes are cut off, and so have to come by TCP.

    zones   {name: its records, a line each: `@ TXT "..."`}; None: unreadable, SERVFAIL at once
    access  `allow`, or `refuse` to have everything answered by REFUSED
    """

    def __init__(self, zones: dict, access: str = "allow") -> None:
        super().__init__()
        self.binary = program("unbound", "unbound")
        text = UNBOUND.format(port=self.port, folder=self.folder, access=access)
        for name, records in {".": "", **zones}.items():
            self.write(name, records)
            text += ZONE.format(name=name)
        (self.folder / "unbound.conf").write_text(text)

    def write(self, name: str, records: str | None) -> None:
        """What the zone has when it is started again."""
        text = "nonsense" if records is None else SOA.format(name.rstrip(".")) + records
        (self.folder / f"{name}.zone").write_text(f"{text}\n")

    def command(self) -> list[str]:
        return [self.binary, "-d", "-p", "-c", str(self.folder / "unbound.conf")]

    def answers(self) -> bool:
        """Whether some answer comes to a question for the root's SOA."""
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            try:
                probe.connect(("127.0.0.1", self.port))
                probe.send(b"\x12\x34\x00\x00\x00\x01" + bytes(6) + b"\x00\x00\x06\x00\x01")
                return bool(probe.recv(512))
            except OSError:
                time.sleep(0.02)
                return False


class Slow(asyncio.DatagramProtocol):
    """A resolver that is far away: it says of every name, after `seconds`, that there is none; or,
    with `until`, once so many questions have come; with neither, never. `asked`: the questions that
    have come; `flags`: another answer."""

    def __init__(self, seconds: float = 0.0, until: int = 0, flags: bytes = b"\x81\x83") -> None:
        self.seconds, self.until, self.flags = seconds, until, flags
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
        self.transport.sendto(data[:2] + self.flags + data[4:6] + bytes(6)
                              + data[12:data.index(0, 12) + 5], addr)
