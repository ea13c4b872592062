"""How long 500 domains take: against a good resolver, one of slow answers, and one that is dead.

    python -m tests.benchmarks.domains [--number 500]

Whole processes on SQLite; Knot and Unbound on loopback. `slow` answers each question after 100 ms,
as name servers far away do; `dead` never answers. A run's budget is 240 seconds.
"""
from __future__ import annotations

import argparse
import asyncio
import tempfile
import threading
import time

from jobs_lib import clock
from tests.servers.dns_servers import Authority, BlackHole, Unbound
from tests.support.shell import Shell

ZONE = """
@ TXT "porter-verify=token"
@ TXT "v=spf1 include:spf.service.example ~all"
@ MX 10 mx1.service.example.
porter._domainkey CNAME porter._domainkey.service.example.
_dmarc TXT "v=DMARC1; p=none"
"""
OPTIONS = {"mx_hosts": "mx1.service.example", "spf_include": "spf.service.example",
           "dkim_target": "porter._domainkey.service.example"}
DELAY = 0.1


class Slow(asyncio.DatagramProtocol):
    """Says of every name, after a while, that there is none."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        answer = data[:2] + b"\x81\x83" + data[4:6] + bytes(6) + data[12:data.index(0, 12) + 5]
        asyncio.get_running_loop().call_later(DELAY, self.transport.sendto, answer, sender)


def slow_port() -> int:
    """Start it in a thread of its own."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    found: list[int] = []

    def run():
        transport, _ = loop.run_until_complete(loop.create_datagram_endpoint(Slow,
                                                                             ("127.0.0.1", 0)))
        found.append(transport.get_extra_info("sockname")[1])
        ready.set()
        loop.run_forever()
    threading.Thread(target=run, daemon=True).start()
    ready.wait()
    return found[0]


def measure(what: str, port: int, number: int) -> None:
    """One run over so many domains, all of them due."""
    with tempfile.TemporaryDirectory() as folder:
        service = Shell(folder, f"sqlite:///{folder}/jobs.db",
                          dns={**OPTIONS, "nameservers": f"127.0.0.1:{port}"})
        user = service.owner()["user_id"]
        with service.db.transaction():
            for at in range(number):
                service.db.insert("domains", user_id=user, name=f"d{at}.bench.example",
                                  ownership_token="token", created_at=clock.now())
        began = time.perf_counter()
        done = service.job("check_domains")
        spent = time.perf_counter() - began
        service.db.close()
    checked = done["counts"]["checked"]
    print(f"{what:<28} {spent:6.1f} s   {checked} looked at, {checked / spent:5.0f} a second   "
          f"{done['status']} {done['stop_reason'] or ''}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=500)
    number = parser.parse_args().number
    with Authority() as authority, Unbound(authority) as resolver, BlackHole() as hole:
        lines = [f"d{at}" + line[1:] if line.startswith("@") else line.replace(" ", f".d{at} ", 1)
                 for at in range(number) for line in ZONE.strip().split("\n")]
        authority.zone("bench.example", "\n".join(lines))
        measure("good resolver", resolver.port, number)
        measure(f"answers after {DELAY * 1000:.0f} ms", slow_port(), number)
        measure("dead resolver", hole.port, number)


if __name__ == "__main__":
    main()
