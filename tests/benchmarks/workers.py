"""How throughput grows with the number of workers: webhooks and forwards whose other side answers
after 50 ms.

    python -m tests.benchmarks.workers [--engines rq celery-rabbitmq] [--workers 1 2 4] [--webhooks
    1600]

MariaDB, private brokers, real worker processes. Timed is from the first item that is done and
stored to the last. `--concurrency` is [webhooks] concurrency: how many requests one worker has
open. Each kind is measured with 1 worker first; the others are told as a ratio to it.
"""
from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from aiosmtpd.controller import Controller

from tests.benchmarks.figures import beside_goal
from tests.benchmarks.forwards import CONTENT
from tests.servers.brokers import RabbitMQ, Redis
from tests.servers.mariadb import MariaDB
from tests.servers.ports import free_port
from tests.servers.web import Web
from tests.support.hooks import fill
from tests.support.shell import Shell
from tests.workers.conftest import end

LATENCY = 0.05
WRITES = ("Com_insert", "Com_update", "Com_delete", "Com_commit")
BROKERS = {"rq": Redis, "celery-redis": Redis, "celery-rabbitmq": RabbitMQ}


class Slow:
    """A relay that takes each message after 50 ms."""

    async def handle_DATA(self, _server, _session, _envelope):
        """aiosmtpd's name for it."""
        import asyncio
        await asyncio.sleep(LATENCY)
        return "250 2.0.0 Ok"


def answer(connection, _heard) -> None:
    """An endpoint that takes 50 ms."""
    time.sleep(LATENCY)
    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def hosts(count: int) -> list[str]:
    """So many addresses of this machine."""
    return [f"127.0.{at // 250}.{at % 250 + 1}" for at in range(count)]


def writes(service: Shell) -> int:
    """Statements that wrote, and commits, since the server's start."""
    rows = service.db.query("SHOW GLOBAL STATUS")
    return sum(int(row["Value"]) for row in rows if row["Variable_name"] in WRITES)


def timed(service: Shell, job: str, mode: str, number: int, done, count: int) -> tuple[float,
                                                                                         int]:
    """(seconds, writes) of one job's queue of so many items, by so many workers that wait for
    it."""
    if mode == "rq":
        crew = [service.start("worker") for _ in range(number)]
    else:
        crew = [service.start("worker", "--processes", str(number))]
    try:
        # until all of them wait, on a busy machine too
        time.sleep(6)
        before = writes(service)
        service.run("enqueue", job)
        while not done():
            time.sleep(0.01)
        began = time.perf_counter()
        while done() < count:
            time.sleep(0.05)
        return time.perf_counter() - began, writes(service) - before
    finally:
        for process in crew:
            end(process, signal.SIGKILL)


def measure(engine: str, server: MariaDB, broker, numbers: list[int], args, relay_port: int,
            web_port: int) -> None:
    """All of one engine."""
    mode = engine.partition("-")[0]
    for kind, count in (("webhooks", args.webhooks), ("forwards", args.forwards)):
        first = 0.0
        for number in numbers if count else []:
            with tempfile.TemporaryDirectory() as folder:
                service = Shell(folder, server.database(), mail={"port": relay_port},
                                  webhooks={"allow_networks": "127.0.0.0/8",
                                            "concurrency": args.concurrency})
                service.configure("worker", **{"redis" if engine == "rq" else "broker": broker.url},
                                  shards=number, queues=f"q{os.urandom(4).hex()}")
                service.configure(mode=mode)
                if kind == "webhooks":
                    fill(service, web_port, count // 2, 2, hosts(count // 2))
                    job, table, state = "retry_webhooks", "webhook_deliveries", "delivered"
                else:
                    service.forwards(count, CONTENT)
                    job, table, state = "retry_forwards", "failed_emails", "sent"
                seconds, wrote = timed(service, job, mode, number,
                                       lambda s=service, t=table, w=state: s.statuses(t).get(w, 0),
                                       count)
                service.db.close()
            first = first or seconds
            print(f"  {engine:<16} {kind:<9} {number} workers  {seconds:6.1f} s  "
                  f"{count / seconds:6.1f} /s  {first / seconds:5.2f} times  {wrote / count:4.1f} "
                  "writes each", flush=True)
            if number == 4 and numbers[0] == 1:
                print("  " + beside_goal(f"{engine}, {kind}: 4 workers, relative to one",
                                         first / seconds, at_least=3.5))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", choices=BROKERS, default=["rq", "celery-rabbitmq"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4])
    for name, default in (("webhooks", 1600), ("forwards", 600), ("concurrency", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {load:.1f}, MariaDB, "
          f"{LATENCY * 1000:.0f} ms")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(MariaDB())
        web = stack.enter_context(Web(answer, host=""))
        relay = Controller(Slow(), hostname="127.0.0.1", port=free_port(), decode_data=False)
        relay.start()
        stack.callback(relay.stop)
        for engine in args.engines:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            with BROKERS[engine](Path(folder)) as broker:
                measure(engine, server, broker, args.workers, args, relay.port, web.port)


if __name__ == "__main__":
    main()
