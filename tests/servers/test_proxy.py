"""The tests' own proxy."""
from __future__ import annotations

import socket

from tests.servers.far import Far
from tests.servers.ports import free_port


def test_a_server_that_refuses_once_is_reached_later():
    here = "127.0.0.1"
    with Far(free_port(), 0) as far:
        with socket.create_connection((here, far.port), 5) as client:
            assert client.recv(1) == b""                # nobody is there yet
        with socket.create_server(far._target) as server:
            server.settimeout(5)
            with socket.create_connection((here, far.port), 5) as client:
                client.sendall(b"x")
                assert server.accept()[0].recv(1) == b"x"
