"""One POST: bounded in time and size, verified, never led elsewhere."""
from __future__ import annotations

import errno
import ipaddress
import os
import socket
import threading
import time
import types
from datetime import timedelta

import pytest

from tests.servers.web import Web, drip, flood, full, silent
from tests.support.patience import SOON
from tests.support.product import JobsError, Poster, Request

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
OK = b"HTTP/1.1 200 OK\r\n"
EXCERPT = 2048                      # octets of an answer that are kept
LATE = "no answer in time"


def poster(seconds: float = SOON, allow=LOOPBACK, ca_file: str = "", outbox: str = ""):
    return Poster(types.SimpleNamespace(timeout=timedelta(seconds=seconds),
                                             allow_networks=allow, ca_file=ca_file, outbox=outbox))


def post(url: str, body: bytes = b"{}", headers=(), **how):
    return poster(**how).post(Request("webhook-1", url, headers, body))


@pytest.fixture
def named(monkeypatch):
    """Names that resolve to addresses of this machine: `named("a.example", "127.0.0.1")`."""
    names, asked, real = {}, [], socket.getaddrinfo

    def look(host, port, *how):
        asked.append(name := host.decode())
        return [entry for each in names.get(name, [name])       # no test asks a name server
                for entry in real(each, port, *how[:3], socket.AI_NUMERICHOST)]
    monkeypatch.setattr(socket, "getaddrinfo", look)

    def name(host: str, *addresses: str) -> list:
        names[host] = addresses
        return asked
    return name


def test_the_request_is_what_was_given_and_closes():
    body = '{"to": "jürgen"}'.encode() + b"\x00\xff" * 70_000
    with Web() as web:
        found = post(f"http://127.0.0.1:{web.port}/a%20b/ü?q=1&x=%C3#part", body,
                     [("webhook-id", "evt_1")])
    assert (found.outcome, found.status) == ("answered", 204)
    [(line, headers, heard)] = web.requests
    assert (line, heard) == ("POST /a%20b/%C3%BC?q=1&x=%C3 HTTP/1.1", body)
    assert headers.pop("user-agent").startswith("jobs-webhooks/")
    assert headers == {"webhook-id": "evt_1", "host": f"127.0.0.1:{web.port}", "accept": "*/*",
                       "connection": "close", "content-length": str(len(body))}


def test_an_answer_counts_before_the_body_is_read():     # R41
    with Web(b"HTTP/1.1 429 Wait\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nwait") as web:
        web._hear = lambda connection: connection.recv(100)
        assert post(f"http://127.0.0.1:{web.port}/", b"x" * 20_000_000) == (
            "answered", 429, "120", "wait", "")


@pytest.mark.parametrize("answer, excerpt", [
    (OK + b"Content-Length: 5\r\n\r\nhello and more", "hello"),
    (OK + b"\r\nuntil the end", "until the end"),
    (OK + b"Content-Length: 99\r\n\r\nshort", "short"),
    (OK + b"Content-Length: 999999999999999999999\r\n\r\nhuge", "huge"),
    (OK + b"Content-Length: 9000000\r\n\r\nlarge", "large"),
    (OK + b"Content-Length: -1\r\n\r\nless", "less"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\ngarbage\r\n", "abc"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\nabc", "abc"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"x" * 9000, ""),
    (OK + b"\r\n" + b"x" * 9000, "x" * EXCERPT),
    (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + OK + b"\r\nok", "ok"),
    (b"HTTP/1.0 200\n\nbare line ends", "bare line ends"),
    (OK + b"no colon\r\n: empty\r\n\r\nodd headers", "odd headers"),
    (OK + b"\r\n\x1b[31mred\x00\r\nnext\xff\xe2\x80\xae", "[31mred next\ufffd"),
    (OK + b"\r\n" + "ü".encode() * 3000, "ü" * (EXCERPT // 2)), (OK, "")])
def test_an_answer_is_read_as_far_as_it_is_one_and_kept_printable(answer, excerpt):     # R43
    with Web(answer) as web:
        found = post(f"http://127.0.0.1:{web.port}/")
    assert (found.outcome, found.status, found.excerpt) == ("answered", 200, excerpt)
    assert found.excerpt.isprintable()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 20\r\n\r\n",
                                    b"HTTP/2 200\r\n\r\n", b"\r\n\r\n",
                                    b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/1.1 99999 x\r\n\r\n",
                                    b"\x16\x03\x01", b"HTTP/1.1 200 OK" + b"x" * 70_000,
                                    b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n\r\n",
                                    OK + b"a: b\r\n" * 20_000, b"HTTP/1.1 103 Early\r\n\r\n" + OK
                                    + b"\r\n"])
def test_what_is_no_answer_is_a_failure(answer):     # R43
    with Web(answer) as web:
        found = post(f"http://127.0.0.1:{web.port}/")
    assert (found.outcome, found.status) == ("failed", None)
    assert found.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://127.0.0.1:{port}/two", "//127.0.0.1:{port}/two", "/two",
                                "file:///etc/passwd"])
def test_redirects_are_not_followed(status, to):     # R41 R47
    with Web(lambda connection, _: connection.sendall(
            f"HTTP/1.1 {status} Moved\r\nLocation: {to.format(port=web.port)}\r\n"
            "Refresh: 0\r\n\r\n".encode())) as web:
        assert post(f"http://127.0.0.1:{web.port}/one").status == status
        assert (web.connections, len(web.requests)) == (1, 1)


def test_proxies_and_netrc_have_no_effect(monkeypatch, tmp_path):     # R47
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with Web() as web, Web() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY",
                     "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}/")
        assert post(f"http://127.0.0.1:{web.port}/").status == 204
        assert proxy.connections == 0
    assert "authorization" not in web.requests[0].headers


# Time

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ENDED_BY_TIME = {
    "silent": silent,
    "a head that drips": drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000),
    "headers that drip": drip(b"a: b\r\n", first=OK),
    "100 Continue that drip": drip(b"HTTP/1.1 100 Continue\r\n\r\n", 0.02)}
ENDED_BY_SIZE = {
    "100 Continue without a pause": flood(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers without a pause": flood(b"a: b\r\n" * 1000, first=OK),
    "a line without a pause": flood(b"x" * 65536)}
ANSWERED = {            # the status counts whatever the body does
    "a body without a pause": flood(b"x" * 65536, first=OK + b"\r\n"),
    "a body that drips": drip(b"x", first=OK + b"\r\n"),
    "a promise of much": drip(b"x", first=OK + b"Content-Length: 99999999\r\n\r\n"),
    "chunks without a pause": flood(b"5\r\nhello\r\n" * 1000, first=CHUNKED),
    "chunks that drip": drip(b"1\r\nx\r\n", first=CHUNKED)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*ENDED_BY_TIME, *ENDED_BY_SIZE, *ANSWERED])
def test_no_answer_takes_longer_than_its_limit(kind):     # R43
    began = time.monotonic()
    with Web({**ENDED_BY_TIME, **ENDED_BY_SIZE, **ANSWERED}[kind]) as web:
        seconds = 60 if kind in ENDED_BY_SIZE else 2 if kind in ANSWERED else 0.6
        found = post(f"http://127.0.0.1:{web.port}/", seconds=seconds)
    assert found.status == (200 if kind in ANSWERED else None)
    assert (found.text == LATE) == (kind in ENDED_BY_TIME)
    assert len(found.excerpt) <= EXCERPT
    assert time.monotonic() - began < SOON


@pytest.mark.slow
@pytest.mark.parametrize("scheme, hear", [
    ("http", None), ("http", silent), ("https", silent), ("https", drip(b"\x16"))],
    ids=["accepts nobody", "reads nothing", "no handshake", "a handshake that drips"])
def test_no_request_takes_longer_than_its_limit(scheme, hear):     # R43
    with full() as (_, port), Web() as web:
        web._hear = lambda connection: hear(connection, None)
        began = time.monotonic()
        url = f"{scheme}://127.0.0.1:{web.port if hear else port}/"
        found = post(url, b"x" * 20_000_000, seconds=0.6)
        assert found.outcome == "failed"
        # what drips is no TLS
        assert found.text == LATE or hear not in (None, silent)
        assert time.monotonic() - began < SOON


def test_a_look_up_that_hangs_is_given_up_and_connects_to_nothing(monkeypatch):     # R43
    real, may_end = socket.getaddrinfo, threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *how: may_end.wait(60) and real(*how))
    with Web() as web:
        began = time.monotonic()
        assert post(f"http://127.0.0.1:{web.port}/", seconds=0.2).text == LATE
        assert time.monotonic() - began < SOON
        may_end.set()
        assert web.connections == 0


def test_at_most_64_kib_are_read(monkeypatch):     # R43
    read = []
    real = socket.socket.recv_into
    monkeypatch.setattr(socket.socket, "recv_into", lambda sock, *how:
                        read.append(number := real(sock, *how)) or number)

    def answer(connection, _heard) -> None:
        # read by itself, so that the pieces are no even ones
        connection.sendall(OK)
        time.sleep(0.05)
        connection.sendall(b"\r\n" + b"x" * 1_000_000)
    with Web(answer) as web:
        # its own reading is not counted
        web._hear = lambda connection: connection.recv(65536)
        assert post(f"http://127.0.0.1:{web.port}/").status == 200
    assert sum(read) == 65536


# TLS and names

@pytest.mark.parametrize("url, trusted, how", [
    *((url, True, {}) for url in ("hook.example", "other.example", "127.0.0.1")),
    ("hook.example", False, {}), ("hook.example", True, {"expired": True}),
    ("hook.example", True, {"self_signed": True}),
], ids=["good", "another name", "no name", "unknown authority", "expired", "self-signed"])
def test_tls_is_verified_for_the_name_at_the_pinned_address(authority, named, request,     # R46
                                                            url, trusted, how):
    for name in ("hook.example", "other.example"):
        named(name, "127.0.0.1")
    with Web(tls=authority.context("hook.example", **how)) as web:
        found = post(f"https://{url}:{web.port}/", ca_file=authority.ca_file if trusted else "")
        if request.node.callspec.id == "good":
            assert found.status == 204
            assert web.requests[0].headers["host"] == f"hook.example:{web.port}"
        else:
            assert found.outcome == "failed"
            assert "certificate" in found.text
            assert web.requests == []


def test_a_ca_file_that_is_none_is_told_at_once(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(JobsError,
                           match=r"\[webhooks\] ca_file = .*expected certificates in PEM"):
            poster(ca_file=str(tmp_path / name))


def test_trouble_is_told_without_the_address(named):     # R47
    named("a.example", "127.0.0.9")
    found = post("http://a.example:1024/")
    assert (found.outcome, found.text) == ("failed", "no connection (Connection refused)")
    named("two.example", "127.0.0.2", "127.0.0.1")      # the next one is tried
    with Web() as web:
        assert post(f"http://two.example:{web.port}/").status == 204
    found = post("http://nobody.example/")
    assert found.text == "the name nobody.example cannot be resolved (Name or service not known)"


def test_a_header_that_would_be_two_is_refused():
    with Web() as web:
        for value in ("a\r\nX-Evil: 1", "a\nb", "ü", "\x00"):
            assert post(f"http://127.0.0.1:{web.port}/",
                        headers=[("webhook-id", value)]).outcome == "unsendable"
        assert web.requests == []


def test_the_outbox_keeps_requests_as_files_and_resolves_nothing(tmp_path, named):
    asked = named("x", "127.0.0.1")
    found = post("https://hook.example/a?b", b"{}", [("webhook-id", "evt_1")],
                 outbox=str(tmp_path / "out"))
    assert (found.outcome, found.status) == ("answered", 200)
    [path] = (tmp_path / "out").iterdir()
    assert path.name == "webhook-1.http"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"POST /a?b HTTP/1.1\r\nHost: hook.example\r\n")
    assert post("file:///etc/passwd", outbox=str(tmp_path / "out")).outcome == "failed"
    assert asked == []
    # one that cannot be written is our own failure
    assert post("https://hook.example/", outbox=str(path)).outcome == "ours"


@pytest.mark.parametrize("place, error, outcome", [
    ("socket.getaddrinfo", socket.gaierror(socket.EAI_AGAIN, "temporary failure"), "failed"),
    ("socket.getaddrinfo", socket.gaierror(socket.EAI_NONAME, "name not known"), "failed"),
    ("socket.getaddrinfo", socket.gaierror(socket.EAI_MEMORY, "memory"), "ours"),
    ("socket.getaddrinfo", OSError(errno.EMFILE, "too many open files"), "ours"),
    *(("socket.socket.connect", OSError(number, os.strerror(number)), "failed") for number in (
        errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.ECONNRESET)),
    ("socket.socket.connect", OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "ours")])
def test_what_fails_says_whose_failure_it_is(monkeypatch, place, error, outcome):
    def fail(*_):
        raise error
    monkeypatch.setattr(place, fail)
    found = post("http://127.0.0.1:1024/")
    assert found.outcome == outcome
    assert "127.0.0.1" not in found.text or "resolved" in found.text
