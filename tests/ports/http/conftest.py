"""Names of endpoints on this machine."""
from __future__ import annotations

import socket

import pytest


@pytest.fixture
def named(monkeypatch):
    """Names that resolve to addresses of this machine: `named("a.example", "127.0.0.1")`."""
    names: dict = {}
    asked: list = []
    real = socket.getaddrinfo

    def look(host, port, *how):
        asked.append(host.decode())
        if host.decode() not in names:
            # no test asks a name server
            return real(host, port, how[0], how[1], how[2], socket.AI_NUMERICHOST)
        found = names[host.decode()]
        return [entry for address in found for entry in real(address, port, *how)]
    monkeypatch.setattr(socket, "getaddrinfo", look)

    def name(host: str, *addresses: str) -> list:
        names[host] = addresses
        return asked
    return name
