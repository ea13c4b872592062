"""No connection is attempted to an address that is not public: every spelling, every answer, every
form."""
from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import sys
import time
import types
from datetime import timedelta

import pytest

from tests.servers.web import Web
from tests.support.address_corpus import (
    IANA_4,
    IANA_6,
    INNER,
    METADATA,
    OTHERS,
    PUBLIC,
    REFUSED_URLS,
    SPELLINGS,
    embedded,
)
from tests.support.product import (
    NOT_PUBLIC,
    Poster,
    Request,
    UrlError,
    described,
    is_own,
    parse,
    public_addresses,
)
from tests.support.shell import ROOT


def called(cases: list[dict]) -> list[dict]:
    """What came of each, in a process that may connect to nothing: tests/support/calling.py."""
    done = subprocess.run([sys.executable, str(ROOT / "tests/support/calling.py")],
                          input=json.dumps(cases), text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_spelling_of_an_address_that_is_not_public_is_connected_to():     # R45
    urls = [f"{scheme}://{host}{port}/" for host in SPELLINGS for scheme,
            port in (("http", ""), ("https", ":8443"))]
    found = called([{"url": url} for url in urls])
    assert {url: one["tried"] for url, one in zip(urls, found) if one["tried"]} == {}
    assert {one["outcome"] for one in found} <= {"refused", "failed"}
    refused = [url for url, one in zip(urls, found) if one["text"] == NOT_PUBLIC
               or "xn--" in one["text"]]
    # what the system takes for an address; the rest it cannot read
    assert len(refused) > len(urls) * 0.9


def test_no_answer_that_is_not_public_is_connected_to():     # R45
    addresses = [*METADATA, *INNER, *(each for inner in INNER for each in embedded(inner)),
                 *(str(ipaddress.ip_network(network)[end])
                   for network in (*IANA_4, *IANA_6, *OTHERS) for end in (0, -1))]
    found = called([{"url": "https://hook.example/", "answers": [[address]]}
                    for address in addresses])
    for address, one in zip(addresses, found):
        assert (one["text"], one["tried"], one["lookups"]) == (NOT_PUBLIC, [],
                                                               ["hook.example"]), address
        assert address not in one["text"]           # R47


def test_public_answers_are_connected_to_so_the_net_holds():
    for address, one in zip(PUBLIC, called([{"url": "https://hook.example/", "answers": [[each]]}
                                            for each in PUBLIC])):
        assert one["tried"] == [address]


def test_a_name_that_turns_inward_later_is_looked_up_once_and_pinned():     # R46
    [one] = called([{"url": "http://rebind.example/", "answers": [["93.184.216.34"], ["127.0.0.1"],
                                                                  ["127.0.0.1"]]}])
    assert (one["lookups"], one["tried"]) == (["rebind.example"], ["93.184.216.34"])


def test_mixed_answers_are_refused_in_any_order():     # R46
    inner = ("127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:127.0.0.1")
    cases = [answer for address in inner for answer in (["8.8.8.8", address], [address, "8.8.8.8"],
                                                        ["8.8.8.8", "1.1.1.1", "9.9.9.9", "8.8.4.4",
                                                         address])]
    found = called([{"url": "http://mixed.example/", "answers": [answer]} for answer in cases])
    assert {(one["text"], tuple(one["tried"])) for one in found} == {(NOT_PUBLIC, ())}


def test_a_local_listener_sees_nothing_of_any_spelling(monkeypatch):     # R45
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *how: real(host, *how[:4],
                                                                       socket.AI_NUMERICHOST)
                        if host != b"localhost" else real("127.0.0.1", *how))
    settings = {"timeout": timedelta(seconds=5), "ca_file": "", "outbox": ""}
    poster = Poster(types.SimpleNamespace(**settings, allow_networks=()))
    trusting = Poster(types.SimpleNamespace(
        **settings, allow_networks=(ipaddress.ip_network("127.0.0.0/8"),)))
    with Web() as web:
        reached = 0
        for host in SPELLINGS:
            request = Request("webhook-1", f"http://{host}:{web.port}/", (), b"{}")
            assert poster.post(request).status is None
            assert web.connections == reached
            address = _loopback_4(host, web.port)
            if address:
                # the same spelling gets through where the operator lets it
                assert trusting.post(request).status == 204, host
                reached += 1
        assert reached > 15
        time.sleep(0.1)
        assert web.connections == reached


def _loopback_4(host: str, port: int) -> bool:
    try:
        name = described(f"http://{host}/")[0].encode()
        found = {entry[4][0] for entry in socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM, 6)}
    except OSError:
        return False
    return found == {"127.0.0.1"}


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_can_be_read_in_two_ways_is_refused(url):     # R45 R47
    with pytest.raises(UrlError, match="the URL of this endpoint"):
        parse(url)
    assert described(url)[0] == ""


@pytest.mark.parametrize("url, secure, host, port, path, header", [
    ("HTTPS://Shop.Example/a", True, "shop.example", 443, "/a", "shop.example"),
    ("http://shop.example.:80", False, "shop.example", 80, "/", "shop.example"),
    ("http://shop.example:443/", False, "shop.example", 443, "/", "shop.example:443"),
    ("https://shop.example:?a=b#c", True, "shop.example", 443, "/?a=b", "shop.example"),
    ("https://[2606:4700:0::1111]:8443/x", True, "2606:4700::1111", 8443, "/x",
     "[2606:4700::1111]:8443"),
    ("https://my_host.example/a%2Fb?c=[d]&e=ü|", True, "my_host.example", 443,
     "/a%2Fb?c=[d]&e=%C3%BC%7C", "my_host.example"),
    ("https://shop.example/a@b:c//d", True, "shop.example", 443, "/a@b:c//d", "shop.example")])
def test_a_url_is_taken_apart(url, secure, host, port, path, header):
    assert parse(url) == (secure, host, port, path, header)


@pytest.mark.parametrize("url, said", [
    ("https://Shop.example/a@b?key=s3same#x", "https://shop.example/a@b"),
    ("http://[2606:4700::1111]:8443?s3same", "http://[2606:4700::1111]:8443/"),
    *((url, "a URL that cannot be called") for url in (
        "https://jo:s3same@shop.example/", "https://jo:s3same?a@shop.example", "jo:s3same/a@b"))])
def test_a_url_is_shown_without_what_may_be_a_password(url, said):      # R61
    assert described(url)[1] == said


@pytest.mark.parametrize("host", ["faß.example", "ｓhop.example", "１２７.0.0.1", "shop。example",
                                  "ﬁsh.example"])
def test_a_host_that_python_would_make_another_of_is_refused(host):     # R47
    with pytest.raises(UrlError, match="write it as xn--"):
        parse(f"https://{host}/")


def test_the_hosts_own_addresses_are_refused_even_where_they_are_public(monkeypatch):     # R45
    assert is_own(socket.AF_INET, "127.0.0.1")
    assert not is_own(socket.AF_INET, "8.8.8.8")
    assert not is_own(socket.AF_INET6, "2606:4700:4700::1111")
    # as if 127.0.0.1 were a public address of ours
    monkeypatch.setattr(public_addresses, "_FOUR", [])
    with Web() as web:
        poster = Poster(types.SimpleNamespace(timeout=timedelta(seconds=5), allow_networks=(),
                                                   ca_file="", outbox=""))
        assert poster.post(Request("webhook-1", f"http://127.0.0.1:{web.port}/", (),
                                   b"")).text == NOT_PUBLIC
        time.sleep(0.1)                             # one that was made would be counted by now
        assert web.connections == 0
