"""Ports for servers that cannot choose their own, and for tests at which nobody is to listen."""
from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

LOWEST, PROCESSES = 10_000, 16
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _ports() -> Iterator[int]:
    """Below those that the system gives to whoever asks for any: one of these would be taken before
    its server is up. Each process of a test run has its own; 0, for any, where there are none."""
    end = int(RANGE.read_text().split()[0]) if RANGE.exists() else 0
    if end < LOWEST + 100 * PROCESSES:
        return itertools.repeat(0)
    own = range(LOWEST + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % PROCESSES, end,
                PROCESSES)
    first = random.randrange(len(own))
    return itertools.cycle([*own[first:], *own[:first]])


PORTS = _ports()


def free_port() -> int:
    """A loopback port that nobody uses now, neither by UDP nor by TCP."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            try:
                stream.bind(("127.0.0.1", next(PORTS)))
                datagrams.bind(stream.getsockname())
            except OSError:
                continue
            return stream.getsockname()[1]
