"""One connection for several requests to an endpoint, where its server keeps it: none is repeated
by it, it never leads elsewhere, and nobody else's request goes over it."""
from __future__ import annotations

import socket
import time

import pytest

from jobs_lib.ports.http import kept
from jobs_lib.ports.http.message import (
    ANSWERED,
    FAILED,
    NOT_PUBLIC,
    REFUSED,
    Request,
)
from tests.ports.http.test_http import OK, poster
from tests.servers.web import Web
from tests.support.shell import until

KEEP = b"Connection: keep-alive\r\n"
TAKEN = OK + KEEP + b"Content-Length: 5\r\n\r\ntaken"


class Client:
    """Sends to one path of a server after the other."""

    def __init__(self, port: int, host: str = "127.0.0.1", scheme: str = "http", **how) -> None:
        self.base, self.poster = f"{scheme}://{host}:{port}", poster(**how)

    def post(self, endpoint=1, more: bool = True, body: bytes = b"{}"):
        return self.poster.post(Request("webhook-1", self.base + "/", (), body, endpoint, more))


@pytest.fixture(autouse=True)
def kept_for_long(monkeypatch):
    """An idle second of this machine ends none."""
    monkeypatch.setattr(kept, "IDLE", 600.0)
    monkeypatch.setattr(kept, "LONGEST", 600.0)


def test_requests_share_a_connection_that_the_server_keeps(authority, named):        # R46
    named("hook.example", "127.0.0.1")
    with Web(TAKEN, tls=authority.context("hook.example"), keeps=True) as web:
        hook = Client(web.port, "hook.example", "https", ca_file=authority.ca_file)
        found = [hook.post(), hook.post(), hook.post(more=False)]
        assert {(each.outcome, each.address) for each in found} == {(ANSWERED, "127.0.0.1")}
        assert web.connections == 1
        assert [heard.headers["connection"] for heard in web.requests] == [
            "keep-alive", "keep-alive", "close"]


@pytest.mark.parametrize("answer", [
    OK + b"Content-Length: 5\r\n\r\ntaken",
    OK + b"Connection: keep-alive, close\r\nContent-Length: 5\r\n\r\ntaken",
    b"HTTP/1.0 200 OK\r\n" + KEEP + b"Content-Length: 5\r\n\r\ntaken",
    OK + KEEP + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\ntaken",
    OK + KEEP + b"Content-Length: 5\r\n\r\ntaken and more",
    OK + KEEP + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    OK + KEEP + b"Transfer-Encoding: chunked\r\n\r\ngarbage\r\n",
], ids=["not promised", "close", "HTTP/1.0", "two lengths", "more than said", "length and chunks",
        "no chunks"])
def test_a_connection_is_closed_when_the_answer_leaves_a_doubt(answer):
    with Web(answer, keeps=True) as web:
        shop = Client(web.port)
        assert {shop.post().status for _ in range(2)} == {200}
        assert web.connections == len(web.requests) == 2


def test_a_connection_belongs_to_one_endpoint_and_one_server():         # R47
    with Web(TAKEN, keeps=True) as web, Web(TAKEN, keeps=True) as other:
        shop = Client(web.port)
        shop.post(1)
        shop.post(2)                            # the same URL, maybe of somebody else
        assert web.connections == 2
        shop.base = f"http://127.0.0.1:{other.port}"
        shop.post(1)                            # its owner has changed the URL
        assert (web.connections, other.connections) == (2, 1)


@pytest.mark.parametrize("limit", ["IDLE", "LONGEST"])
def test_a_connection_is_kept_for_a_short_time_and_then_judged_again(named, monkeypatch,       # R46
                                                                     limit):
    monkeypatch.setattr(kept, limit, 0.1)
    named("shop.example", "127.0.0.1")
    with Web(TAKEN, keeps=True) as web:
        shop = Client(web.port, "shop.example")
        assert shop.post().status == 200
        named("shop.example", "10.0.0.1")
        time.sleep(0.15)
        found = shop.post()
        assert (found.outcome, found.text) == (REFUSED, NOT_PUBLIC)
        assert len(web.requests) == 1


@pytest.mark.parametrize("body", [b"{}", b"x" * 20_000_000], ids=["read", "read in part"])
def test_a_request_that_may_have_been_read_is_never_repeated_at_once(body):        # R22
    def answer(connection, _heard) -> None:
        connection.sendall(TAKEN)
        if len(web.requests) == 1:
            connection.recv(10)                 # of the second one, which is maybe worked on
            connection.shutdown(socket.SHUT_RDWR)
    with Web(answer, keeps=True) as web:
        shop = Client(web.port)
        assert shop.post().status == 200
        assert shop.post(body=body).outcome == FAILED
        assert web.connections == 1
        assert shop.post().status == 200        # over another one


def test_what_is_kept_ends_with_the_run():
    ended = []

    def answer(connection, _heard) -> None:
        connection.sendall(TAKEN)
        ended.append(connection.recv(1))
    with Web(answer) as web:
        shop = Client(web.port)
        shop.post()
        assert not ended
        shop.poster.close()
        until(lambda: ended == [b""])
