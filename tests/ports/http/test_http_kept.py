"""One connection for several requests to an endpoint, where its server keeps it; and never one that
leads elsewhere, or that somebody else's request could use."""
from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from jobs_lib.ports.http import client, kept
from jobs_lib.ports.http.message import (
    ANSWERED,
    BUSY,
    FAILED,
    NOT_PUBLIC,
    REFUSED,
    TIMEOUT,
    Request,
)
from tests.ports.http.test_http import ENDED_BY_TIME, ENDLESS, OK, poster
from tests.servers.nginx import Nginx
from tests.servers.web import Web
from tests.support.patience import SOON
from tests.support.shell import until

KEEP = b"Connection: keep-alive\r\n"
TAKEN = OK + KEEP + b"Content-Length: 5\r\n\r\ntaken"


class Client:
    """Sends to one path of a server after the other."""

    def __init__(self, port: int, host: str = "127.0.0.1", scheme: str = "http", **how) -> None:
        self.base, self.poster = f"{scheme}://{host}:{port}", poster(**how)

    def post(self, endpoint=1, more: bool = True, path: str = "/", body: bytes = b"{}"):
        return self.poster.post(Request("webhook-1", self.base + path, (), body, endpoint, more))


class Ending(Web):
    """Keeps connections; `ended` are those that the other side has closed."""

    def __init__(self) -> None:
        super().__init__(self._take)
        self.ended: list = []

    def _take(self, connection, _heard) -> None:
        connection.sendall(TAKEN)
        if connection.recv(1) == b"":
            self.ended.append(connection)


@pytest.fixture(autouse=True)
def kept_for_long(monkeypatch):
    """An idle second of this machine ends none."""
    monkeypatch.setattr(kept, "IDLE", 600.0)
    monkeypatch.setattr(kept, "LONGEST", 600.0)


@pytest.mark.parametrize("answer", [
    TAKEN,
    OK + b"connection:  Upgrade, Keep-Alive\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + TAKEN,
    b"HTTP/1.1 204 No Content\r\n" + KEEP + b"\r\n",
    b"HTTP/1.1 503 Busy\r\n" + KEEP + b"Content-Length: 2\r\n\r\nno",
    OK + KEEP + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
])
def test_requests_share_a_connection_that_the_server_keeps(answer, named):
    asked = named("shop.example", "127.0.0.1")
    with Web(answer, keeps=True) as web:
        shop = Client(web.port, "shop.example")
        found = [shop.post(), shop.post(path="/other"), shop.post(more=False)]
        assert len(set(found)) == 1
        assert (found[0].outcome, found[0].address) == (ANSWERED, "127.0.0.1")
        assert web.connections == len(asked) == 1
        assert [heard.headers["connection"] for heard in web.requests] == ["keep-alive",
                                                                           "keep-alive", "close"]
        assert [heard.line.split()[1] for heard in web.requests] == ["/", "/other", "/"]
        shop.post()
        assert web.connections == 2             # the last one was closed


def test_a_connection_with_tls_is_verified_once_and_kept(authority, named):        # R46
    named("hook.example", "127.0.0.1")
    with Web(TAKEN, tls=authority.context("hook.example"), keeps=True) as web:
        hook = Client(web.port, "hook.example", "https", ca_file=authority.ca_file)
        assert [hook.post().status for _ in range(3)] == [200] * 3
        assert (web.connections, len(web.requests)) == (1, 3)


@pytest.mark.parametrize("answer", [
    OK + b"Content-Length: 5\r\n\r\ntaken",
    OK + b"Connection: close\r\nContent-Length: 5\r\n\r\ntaken",
    OK + b"Connection: keep-alive, close\r\nContent-Length: 5\r\n\r\ntaken",
    OK + KEEP + b"Connection: close\r\nContent-Length: 5\r\n\r\ntaken",
    OK + b"Connection: keep-alive,\r\n close\r\nContent-Length: 5\r\n\r\ntaken",
    b"HTTP/1.0 200 OK\r\n" + KEEP + b"Content-Length: 5\r\n\r\ntaken",
    OK + KEEP + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\ntaken",
    OK + KEEP + b"Content-Length : 5\r\n\r\ntaken",
    OK + KEEP + b"Content-Length: 5\r\n\r\ntaken and more",
    OK + KEEP + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    OK + KEEP + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    OK + KEEP + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
    OK + KEEP + b"Transfer-Encoding: chunked\r\n\r\ngarbage\r\n",
    b"HTTP/1.1 204 No Content\r\n" + KEEP + b"Content-Length: 5\r\n\r\ntaken",
])
def test_a_connection_is_closed_when_the_answer_leaves_a_doubt(answer):
    with Web(answer, keeps=True) as web:
        shop = Client(web.port)
        assert {shop.post().status for _ in range(2)} <= {200, 204}
        assert web.connections == len(web.requests) == 2


def test_a_connection_belongs_to_one_endpoint_and_one_server():         # R47
    with Web(TAKEN, keeps=True) as web, Web(TAKEN, keeps=True) as other:
        shop = Client(web.port)
        shop.post(1)
        shop.post(2)                            # the same URL, maybe of somebody else
        assert web.connections == 2
        shop.base = f"http://127.0.0.1:{other.port}"
        shop.post(1)                            # its owner has changed the URL
        shop.base = f"http://127.0.0.1:{web.port}"
        shop.post(1)
        shop.post(None)
        assert (web.connections, other.connections) == (4, 1)


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


def reset(connection) -> None:
    """Close it so that the other side hears of an error."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("end", [socket.socket.close, reset,
                                 lambda connection: connection.sendall(b"HTTP/1.1 500 No\r\n\r\n")])
def test_one_that_has_ended_or_said_more_is_not_written_to(end):
    ended = threading.Event()

    def answer(connection, _heard) -> None:
        connection.sendall(TAKEN)
        if len(web.requests) == 1:
            time.sleep(0.05)                    # behind the answer
            end(connection)
            ended.set()
    with Web(answer, keeps=True) as web:
        shop = Client(web.port)
        shop.post()
        assert ended.wait(SOON)
        time.sleep(0.02)
        assert [shop.post().status for _ in range(3)] == [200] * 3
        # it does not keep what it says, so it is not believed again
        assert (web.connections, len(web.requests)) == (4, 4)


def test_a_request_that_was_written_is_never_repeated_at_once():        # R22
    def answer(connection, _heard) -> None:
        if len(web.requests) == 2:
            connection.close()                  # it was read, and maybe worked on
        else:
            connection.sendall(TAKEN)
    with Web(answer, keeps=True) as web:
        shop = Client(web.port)
        found = [shop.post() for _ in range(4)]
        assert [each.status for each in found] == [200, None, 200, 200]
        assert (found[1].outcome, found[1].reached) == (FAILED, True)
        assert found[1].text == "the connection ended before the answer did"
        assert (web.connections, len(web.requests)) == (3, 4)


def test_a_request_of_which_nothing_was_taken_goes_over_another_connection(monkeypatch):
    """It was closed between the look and the write."""
    ended = threading.Event()

    def answer(connection, _heard) -> None:
        connection.sendall(TAKEN)
        if len(web.requests) == 1:
            reset(connection)
            ended.set()
    with Web(answer, keeps=True) as web:
        shop = Client(web.port)
        shop.post()
        assert ended.wait(SOON)
        time.sleep(0.05)
        monkeypatch.setattr(kept.Connection, "is_open", lambda self: True)
        assert shop.post().status == 200
        assert (web.connections, len(web.requests)) == (2, 2)


def test_a_request_of_which_a_part_was_taken_is_not_repeated_at_once():     # R22
    def answer(connection, _heard) -> None:
        connection.sendall(TAKEN)
        connection.recv(10)
        reset(connection)
    with Web(answer) as web:
        shop = Client(web.port)
        shop.post()
        assert shop.post(body=b"x" * 20_000_000).outcome == FAILED
        assert web.connections == 1


def test_a_kept_connection_waits_for_a_place_at_its_address_as_a_new_one_does(named):       # R44
    for name in ("kept", "one", "two"):
        named(f"{name}.example", "127.0.0.1")
    arrived, ended = threading.Semaphore(0), threading.Event()

    def answer(connection, heard) -> None:
        if not heard.headers["host"].startswith("kept"):
            arrived.release()
            ended.wait(SOON)
        connection.sendall(TAKEN)
    with Web(answer, keeps=True) as web:
        shop = Client(web.port, "kept.example", seconds=2 * SOON)
        shop.post()
        threads = [threading.Thread(target=shop.poster.post, args=(
            Request("webhook-1", f"http://{name}.example:{web.port}/", (), b"{}"),))
            for name in ("one", "two")]
        for thread in threads:
            thread.start()
        assert all(arrived.acquire(timeout=SOON) for _ in threads)
        busy = shop.post()
        assert (busy.outcome, busy.address, busy.reached) == (BUSY, "127.0.0.1", None)
        ended.set()
        for thread in threads:
            thread.join(SOON)
        assert shop.post().status == 200
        assert len(web.requests) == 4


def test_a_kept_connection_holds_no_place_at_its_address(named):       # R44
    for number in range(6):
        named(f"n{number}.example", "127.0.0.1")
    with Ending() as web:
        one = poster()
        for number in range(6):
            sent = Request("webhook-1", f"http://n{number}.example:{web.port}/", (), b"{}", number,
                           True)
            assert one.post(sent).status == 200
        until(lambda: len(web.ended) == 4)      # two are kept
        one.close()
        until(lambda: len(web.ended) == 6)


def test_what_is_kept_ends_with_the_run():
    with Ending() as web:
        shop = Client(web.port)
        shop.post()
        assert not web.ended
        shop.poster.close()
        until(lambda: len(web.ended) == 1)
        shop.post()                             # one that was in flight then
        until(lambda: len(web.ended) == 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENDLESS)
def test_no_answer_on_a_kept_connection_takes_longer_than_its_limit(kind):      # R43
    def answer(connection, heard) -> None:
        if len(web.requests) == 1:
            connection.sendall(TAKEN)
        else:
            ENDLESS[kind](connection, heard)
    with Web(answer, keeps=True) as web:
        shop = Client(web.port)
        assert shop.post().status == 200
        shop.poster.seconds = 0.6 if kind in ENDED_BY_TIME else 60
        began = time.monotonic()
        assert shop.post().outcome == (TIMEOUT if kind in ENDED_BY_TIME else FAILED)
        assert time.monotonic() - began < SOON
        assert (web.connections, len(web.requests)) == (1, 2)


def test_who_does_not_take_the_second_request():        # R43
    def answer(connection, _heard) -> None:
        connection.sendall(TAKEN)
        time.sleep(2 * SOON)
    with Web(answer) as web:
        shop = Client(web.port)
        shop.post()
        shop.poster.seconds = 0.5
        began = time.monotonic()
        assert shop.post(body=b"x" * 20_000_000).outcome == TIMEOUT
        assert time.monotonic() - began < SOON


def test_nginx_keeps_a_connection_with_tls(authority, tmp_path, monkeypatch):
    secured: list = []
    secure = client.secure
    monkeypatch.setattr(client, "secure", lambda *how: secured.append(how[2]) or secure(*how))
    with Nginx(tmp_path, authority.chain("127.0.0.1")) as nginx:
        hook = Client(nginx.port, scheme="https", ca_file=authority.ca_file)
        paths = ("/ok", "/busy", "/down", "/ok", "/gone")
        assert [hook.post(path=path).status for path in paths] == [200, 429, 503, 200, 410]
        assert len(secured) == 1
        assert [line.split()[1] for line in nginx.lines(5)] == list(paths)
