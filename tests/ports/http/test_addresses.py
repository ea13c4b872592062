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

# Addresses that nobody may be made to call, retyped from the sources named beside them.

# IANA IPv4 Special-Purpose Address Registry (RFC 6890 and updates), all entries
IANA_4 = """
    0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
    192.0.0.0/24 192.0.0.0/29 192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32
    192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16
    192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255/32
""".split()

# IANA IPv6 Special-Purpose Address Registry, but the two that are judged by the IPv4 behind them
IANA_6 = """
    ::1/128 ::/128 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128
    2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28
    2001:20::/28 2001:30::/28 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16
    fc00::/7 fe80::/10
""".split()

# IPv4 multicast (RFC 5771); RFC 4291 2.7; RFC 3879; RFC 3701; RFC 4291 2.4: not given out
OTHERS = """
    224.0.0.0/4 ff00::/8 fec0::/10 3ffe::/16 4000::/3 6000::/3 8000::/3 a000::/3 c000::/3
    e000::/4 0200::/7
""".split()

# Metadata services, from their providers' own manuals: AWS, Azure, Google, Oracle, DigitalOcean,
# OpenStack; AWS over IPv6 and its time and DNS; Google over IPv6; Azure's wire server; Alibaba;
# Oracle's older one
METADATA = """
    169.254.169.254 169.254.170.2 169.254.169.123 169.254.169.253 fd00:ec2::254 fd00:ec2::253
    fd20:ce::254 168.63.129.16 100.100.100.200 192.0.0.192
""".split()

# To be let through: resolvers and sites known to everybody; RFC 6052, RFC 4291 2.5.5.2 around them
PUBLIC = """
    8.8.8.8 1.1.1.1 9.9.9.9 93.184.216.34 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0
    168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 192.0.1.0 198.17.255.255 198.20.0.0
    223.255.255.255 126.255.255.255 2606:4700:4700::1111 2001:4860:4860::8888
    2a00:1450:4001:800::200e 2400:cb00::1 2620:fe::fe 2001:200::1 ::ffff:8.8.8.8
    64:ff9b::8.8.8.8
""".split()

INNER = ("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
         "224.0.0.1", "168.63.129.16", "255.255.255.255")


def embedded(address: str) -> list[str]:
    """An IPv4 address in every IPv6 form that holds one."""
    one, two, three, four = map(int, address.split("."))
    high, low = f"{one << 8 | two:x}", f"{three << 8 | four:x}"
    return [f"::ffff:{high}:{low}",             # mapped, RFC 4291 2.5.5.2
            f"::{high}:{low}",                  # compatible, RFC 4291 2.5.5.1
            f"::ffff:0:{high}:{low}",           # translated, RFC 2765 2.1
            f"64:ff9b::{high}:{low}",           # NAT64, RFC 6052 2.1
            f"64:ff9b:1::{high}:{low}",         # NAT64 of a network of its own, RFC 8215
            f"2002:{high}:{low}::",             # 6to4, RFC 3056 2
            f"2002:{high}:{low}::1",
            f"2001:0:{high}:{low}::",           # Teredo, RFC 4380 4, its server and its client
            f"2001:0:808:808:0:0:{(one << 8 | two) ^ 0xffff:x}:{(three << 8 | four) ^ 0xffff:x}"]


# Loopback and others as hosts of a URL. inet_aton(3) takes one to four numbers, decimal, octal or
# hexadecimal (RFC 3986 7.4 warns of it); IDNA (RFC 3490, Nameprep) turns full-width and circled
# digits and ideographic dots into plain ones.
SPELLINGS = """
    127.0.0.1 127.0.0.1. 127.1 127.0.1 127.255.255.254 2130706433 0x7f000001 0X7F000001
    0x7f.0.0.1 0x7f.1 0x7f.0x0.0x0.0x1 017700000001 0177.0.0.1 0177.1 0177.0.0.01 00000177.0.0.1
    127.0.0.0x1 0 0.0.0.0 0x0 00 3232235777 0xc0a80101 0300.0250.01.01 192.168.257 10.1 012.1
    0xa.1 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518 169.16689662
    0xA9.0xFE.0xA9.0xFE 2822734096 168.4161808 100.64.1 1681915905 4294967295 0xffffffff 224.1
    3758096385 localhost LOCALHOST localhost. 1２7.0.0.1 １２７．０．０．１ 127。0。0。1
    127．0．0．1 127｡0｡0｡1 ①②⑦.⓪.⓪.① ２１３０７０６４３３ ０x7f000001 ⅼocalhost ｌｏｃａｌｈｏｓｔ
    [::1] [::] [0:0:0:0:0:0:0:1]
    [0000:0000:0000:0000:0000:0000:0000:0001] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1]
    [::FFFF:7F00:1] [0:0:0:0:0:ffff:127.0.0.1] [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1]
    [64:ff9b::7f00:1] [2002:7f00:1::] [2002:a9fe:a9fe::1] [fe80::1] [fec0::1] [fd00:ec2::254]
    [ff02::1] [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [64:ff9b::a9fe:a9fe] [2001:0:7f00:1::]
""".split()

# Refused unresolved: RFC 3986 is read in more ways than one, or the port or scheme is not ours.
REFUSED_URLS = (
    "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:70/_x", "dict://127.0.0.1:11211/",
    "//127.0.0.1/", "127.0.0.1", "", "http://", "https:///", "http:127.0.0.1", "http:/127.0.0.1/",
    "jar:http://127.0.0.1/!/", "http://user@127.0.0.1/", "http://user:password@8.8.8.8/",
    "http://8.8.8.8@127.0.0.1/", "http://8.8.8.8\\@127.0.0.1/", "http://8.8.8.8/\r\nHost: x",
    "http://8.8.8.8/\tx", " http://8.8.8.8/", "http://8.8.8.8 /", "http://8.8.8.8:25/",
    "http://8.8.8.8:22/", "http://8.8.8.8:0/", "http://8.8.8.8:65536/", "http://8.8.8.8:8080x/",
    "http://8.8.8.8:-1/", "http://8.8.8.8:٨٠/", "http://8.8.8.8:1:2/", "http://[::1/",
    "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1]x/", "http://[127.0.0.1]/",
    "http://::1/", "http://a..b/", "http://.a/", "http://-a.example/", "http://a-.example/",
    "http://" + "a" * 64 + ".example/", "http://" + "a." * 127 + "aa/", "http://a%2eexample/",
    "http://%31%32%37.0.0.1/", "http://a\x00.example/", "http://a\u200b.example/",
    "http://\ud800.example/", "http://a,b.example/", "http://a$b.example/", "http://*/",
    "http://a.example/" + "x" * 2000)


def post(url: str, *allowed: str):
    """A request of one that may also call these networks."""
    return Poster(types.SimpleNamespace(
        timeout=timedelta(seconds=5), ca_file="", outbox="", allow_networks=tuple(
            map(ipaddress.ip_network, allowed)))).post(Request("webhook-1", url, (), b"{}"))


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
        return [(socket.AF_INET6 if ":" in each else socket.AF_INET, *how[1:3], "", (each, port))
                for each in found] or real(host, port, *how[:3], socket.AI_NUMERICHOST)
    monkeypatch.setattr(socket, "getaddrinfo", look)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)

    def call(url: str, answers=()):
        left[:], tried[:], lookups[:] = answers, [], []
        return post(url), [*lookups], [*tried]
    return call


def test_no_spelling_of_an_address_that_is_not_public_is_connected_to(called):     # R45
    urls = [each for host in SPELLINGS for each in (f"http://{host}/", f"https://{host}:8443/")]
    found = [called(url) for url in urls]
    assert [url for url, (_, _, tried) in zip(urls, found) if tried] == []
    assert {response.outcome for response, _, _ in found} == {"failed"}
    # what the system takes for an address; the rest it cannot read
    assert sum(response.text == NOT_PUBLIC or "xn--" in response.text
               for response, _, _ in found) > len(urls) * 0.9


def test_no_answer_that_is_not_public_is_connected_to(called):     # R45
    networks = (*IANA_4, *IANA_6, *OTHERS)
    mixed = [answer for inner in ("127.0.0.1", "10.0.0.1", "::1", "fd00::1", "::ffff:127.0.0.1")
             for answer in (["8.8.8.8", inner], [inner, "8.8.8.8"],
                            ["8.8.8.8", "1.1.1.1", "9.9.9.9", "8.8.4.4", inner])]      # R46
    alone = [*METADATA, *INNER,
             *(each for inner in INNER for each in embedded(inner)),
             *(str(ipaddress.ip_network(network)[end]) for network in networks for end in (0, -1))]
    for answer in (*([address] for address in alone), *mixed):
        response, lookups, tried = called("https://hook.example/", [answer])
        # which shows no address, R47
        assert (response.text, lookups, tried) == (NOT_PUBLIC, ["hook.example"], []), answer


def test_public_answers_are_connected_to_and_pinned(called):     # R46
    """So the net holds; and a name that turns inward later is looked up once."""
    for address in PUBLIC:
        assert called("https://hook.example/", [[address], ["127.0.0.1"], ["127.0.0.1"]])[1:] == (
            ["hook.example"], [address])


def test_a_local_listener_sees_nothing_of_any_spelling(monkeypatch):     # R45
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *how: real(
        "127.0.0.1" if host == b"localhost" else host, *how[:4], socket.AI_NUMERICHOST))
    with Web() as web:
        reached = 0
        for host in SPELLINGS:
            assert post(url := f"http://{host}:{web.port}/").status is None
            assert web.connections == reached
            if _loopback_4(host, web.port):
                # the same spelling gets through where the operator lets it
                assert post(url, "127.0.0.0/8").status == 204, host
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
        assert post(f"http://127.0.0.1:{web.port}/").text == NOT_PUBLIC
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
    assert not any(map(is_public, embedded(str(address))))


@pytest.mark.parametrize("address", ["", "127.1", "fe80::1%eth0", "2606:4700::1%1",
                                     "::ffff:8.8.8.8%2", " 8.8.8.8", "٨.8.8.8"])
def test_what_is_no_plain_address_is_refused(address):     # R45
    assert not is_public(address)


def test_networks_of_the_operators_are_known_also_in_mapped_form():
    networks = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "fd00::/16")))
    assert [address for address in ("127.0.0.1", "::ffff:127.0.0.1", "fd00::1", "128.0.0.1",
                                    "::127.0.0.1", "64:ff9b::127.0.0.1", "::1", "x")
            if is_in(address, networks)] == ["127.0.0.1", "::ffff:127.0.0.1", "fd00::1"]
