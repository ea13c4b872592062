"""No connection is attempted to an address that is not public: every spelling, every answer, every
form."""
from __future__ import annotations

import ipaddress
import socket
import time
import types
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.web import Web
from tests.support import address_corpus as corpus
from tests.support.product import (
    NETWORKS_4,
    NOT_PUBLIC,
    Poster,
    Request,
    described,
    is_in,
    is_public,
    parse,
    public_addresses,
)


def poster(*allowed: str) -> Poster:
    """One that may also call these networks."""
    return Poster(types.SimpleNamespace(
        timeout=timedelta(seconds=5), ca_file="", outbox="",
        allow_networks=tuple(map(ipaddress.ip_network, allowed))))


@pytest.fixture
def called(monkeypatch):
    """`called(url, answers)`: what came of a request where nothing can be connected to, the names
    that were looked up, and the addresses that were tried. `answers`: those of the resolver, a list
    of addresses for each look-up; without them a host is resolved as a number alone."""
    tried, lookups, left, real = [], [], [], socket.getaddrinfo

    def refuse(_socket, address, *_):
        tried.append(address[0])
        raise PermissionError("no connection is allowed here")

    def look(host, port, *how):
        lookups.append(host.decode())
        found = left.pop(0) if left else ["127.0.0.1", "::1"] * (host == b"localhost")
        return [(socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "",
                 (each, port)) for each in found] or real(host, port, *how[:3],
                                                          socket.AI_NUMERICHOST)
    monkeypatch.setattr(socket, "getaddrinfo", look)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)

    def call(url: str, answers=()):
        left[:], tried[:], lookups[:] = answers, [], []
        response = poster().post(Request("webhook-1", url, (), b"{}"))
        return response, [*lookups], [*tried]
    return call


def test_no_spelling_of_an_address_that_is_not_public_is_connected_to(called):     # R45
    urls = [f"{scheme}://{host}{port}/" for host in corpus.SPELLINGS for scheme,
            port in (("http", ""), ("https", ":8443"))]
    found = [called(url) for url in urls]
    assert [url for url, (_, _, tried) in zip(urls, found) if tried] == []
    assert {response.outcome for response, _, _ in found} == {"failed"}
    refused = [response for response, _, _ in found if response.text == NOT_PUBLIC
               or "xn--" in response.text]
    # what the system takes for an address; the rest it cannot read
    assert len(refused) > len(urls) * 0.9


def test_no_answer_that_is_not_public_is_connected_to(called):     # R45
    networks = (*corpus.IANA_4, *corpus.IANA_6, *corpus.OTHERS)
    mixed = [answer for inner in ("127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:127.0.0.1")
             for answer in (["8.8.8.8", inner], [inner, "8.8.8.8"],
                            ["8.8.8.8", "1.1.1.1", "9.9.9.9", "8.8.4.4", inner])]      # R46
    alone = [*corpus.METADATA, *corpus.INNER,
             *(each for inner in corpus.INNER for each in corpus.embedded(inner)),
             *(str(ipaddress.ip_network(network)[end]) for network in networks for end in (0, -1))]
    for answer in (*([address] for address in alone), *mixed):
        response, lookups, tried = called("https://hook.example/", [answer])
        # which shows no address, R47
        assert (response.text, lookups, tried) == (NOT_PUBLIC, ["hook.example"], []), answer


def test_public_answers_are_connected_to_and_pinned(called):     # R46
    """So the net holds; and a name that turns inward later is looked up once."""
    for address in corpus.PUBLIC:
        assert called("https://hook.example/", [[address], ["127.0.0.1"], ["127.0.0.1"]])[1:] == (
            ["hook.example"], [address])


def test_a_local_listener_sees_nothing_of_any_spelling(monkeypatch):     # R45
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *how: real(host, *how[:4],
                                                                       socket.AI_NUMERICHOST)
                        if host != b"localhost" else real("127.0.0.1", *how))
    with Web() as web:
        reached = 0
        for host in corpus.SPELLINGS:
            request = Request("webhook-1", f"http://{host}:{web.port}/", (), b"{}")
            assert poster().post(request).status is None
            assert web.connections == reached
            if _loopback_4(host, web.port):
                # the same spelling gets through where the operator lets it
                assert poster("127.0.0.0/8").post(request).status == 204, host
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


@pytest.mark.parametrize("url", corpus.REFUSED_URLS)
def test_a_url_that_can_be_read_in_two_ways_is_refused(url):     # R45 R47
    with pytest.raises(ValueError, match="the URL of this endpoint"):
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
                                  "ﬁsh.example", "bücher.example"])
def test_a_host_that_two_readers_may_take_for_two_is_refused(host):     # R47
    with pytest.raises(ValueError, match="write it as xn--"):
        parse(f"https://{host}/")


def test_the_hosts_own_addresses_are_refused_even_where_they_are_public(monkeypatch):     # R45
    # as if 127.0.0.1 were a public address of ours
    monkeypatch.setattr(public_addresses, "_REFUSED", ())
    with Web() as web:
        assert poster().post(Request("webhook-1", f"http://127.0.0.1:{web.port}/", (),
                                     b"")).text == NOT_PUBLIC
        time.sleep(0.1)                             # one that was made would be counted by now
        assert web.connections == 0


# The judgement of one address

NAT64, GIVEN_OUT = map(ipaddress.ip_network, ("64:ff9b::/96", "2000::/3"))


@given(st.one_of(st.ip_addresses(), *(st.ip_addresses(v=6, network=network)
                                      for network in (NAT64, GIVEN_OUT, "::/64"))))
def test_no_address_passes_that_python_calls_special(address):     # R45
    if is_public(str(address)):
        if address in NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = getattr(address, "ipv4_mapped", None) or address
        assert address.is_global
        assert not any((address.is_multicast, address.is_reserved, address.is_private))
        if address.version == 6:
            assert address in GIVEN_OUT
            assert (address.sixtofour, address.teredo) == (None, None)


@given(st.one_of(*(st.ip_addresses(v=4, network=network) for network in NETWORKS_4)))
def test_no_form_hides_an_ipv4_address_that_is_refused(address):     # R45
    assert not any(map(is_public, corpus.embedded(str(address))))


@pytest.mark.parametrize("address", ["", "127.1", "fe80::1%eth0", "2606:4700::1%1",
                                     "::ffff:8.8.8.8%2", " 8.8.8.8", "٨.8.8.8"])
def test_what_is_no_plain_address_is_refused(address):     # R45
    assert not is_public(address)


def test_networks_of_the_operators_are_known_also_in_mapped_form():
    networks = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "fd00::/16")))
    assert [address for address in ("127.0.0.1", "::ffff:127.0.0.1", "fd00::1", "128.0.0.1",
                                    "::127.0.0.1", "64:ff9b::127.0.0.1", "::1", "x")
            if is_in(address, networks)] == ["127.0.0.1", "::ffff:127.0.0.1", "fd00::1"]
