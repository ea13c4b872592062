"""`python resolving.py WORDS`: `jobs.py WORDS` in a process whose look-ups go to the name server at
JOBS_DNS_PORT.

The system's own resolver cannot be led to another port. What it makes of an answer is the same
here: an address, no such name, or, of anything that means nothing, a failure for now.
"""
from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import dns.exception
import dns.message
import dns.query
import dns.rcode

from tests.support import product

PORT, real = int(os.environ["JOBS_DNS_PORT"]), socket.getaddrinfo


def look_up(host, port, *how, **named):
    """As socket.getaddrinfo."""
    name = host.decode() if isinstance(host, bytes) else host
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return real(_address(name), port, *how, **named)
    return real(name, port, *how, **named)


def _address(name: str) -> str:
    try:
        answer = dns.query.udp(dns.message.make_query(name, "A"), "127.0.0.1", 2, PORT)
    except (dns.exception.Timeout, OSError):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") from None
    if answer.rcode() == dns.rcode.NXDOMAIN or (answer.rcode() == dns.rcode.NOERROR
                                                and not answer.answer):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if answer.rcode() != dns.rcode.NOERROR:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return answer.answer[0][0].address


if __name__ == "__main__":
    socket.getaddrinfo = look_up
    sys.exit(product.main(sys.argv[1:]))
