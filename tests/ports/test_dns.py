"""The DNS port against real servers: Unbound resolves, a socket that never answers is silent."""
from __future__ import annotations

import gc
import os
import subprocess
import sys
import time

import pytest

from tests.servers.dns_servers import Slow, Unbound
from tests.servers.ports import free_port
from tests.support.patience import SOON, quickest
from tests.support.product import FOUND, NODATA, NXDOMAIN, UNKNOWN, Answer, Resolver
from tests.support.shell import ROOT

LONG = " ".join(f'"{letter * 250}"' for letter in "abcdef")
ZONE = f"""
@      MX 10 MX1.Service.Example.
@      MX 20 mx2.service.example.
@      TXT "v=spf1 include:spf." "service.example ~all"
@      TXT "porter-verify=abc"
null   MX 0 .
long   TXT {LONG}
alias  CNAME second
second CNAME Third.Other.Example.
bytes  TXT "caf\\195\\169 \\255"
loop1  CNAME loop2
loop2  CNAME loop1
*.wild TXT "any"
xn--gre-6ka8i TXT "hello"
"""


@pytest.fixture(scope="module")
def unbound():
    with Unbound({"example.org": ZONE, "other.example": 'third TXT "at the end"',
                  "spoilt.example": None}) as server:
        yield server


@pytest.fixture
def resolver(unbound):
    return made(unbound.port)


def made(*ports: int, timeout: float = 5.0) -> Resolver:
    return Resolver([("127.0.0.1", port) for port in ports], timeout)


@pytest.mark.parametrize("name, kind, expected", [
    ("EXAMPLE.org.", "MX", Answer(FOUND, ((10, "mx1.service.example"),
                                          (20, "mx2.service.example")))),
    ("example.org", "TXT", Answer(FOUND, ("porter-verify=abc",
                                          "v=spf1 include:spf.service.example ~all"))),
    # too large for a packet: by TCP
    ("long.example.org", "TXT", Answer(FOUND, ("".join(letter * 250 for letter in "abcdef"),))),
    ("nothing.example.org", "TXT", Answer(NXDOMAIN)),
    ("nothing.at.all", "TXT", Answer(NXDOMAIN)),
    ("long.example.org", "MX", Answer(NODATA)),
    # an empty name with one below it
    ("wild.example.org", "TXT", Answer(NODATA)),
    ("null.example.org", "MX", Answer(FOUND, ((0, "."),))),
    # over two names, into another zone
    ("alias.example.org", "TXT", Answer(FOUND, ("at the end",))),
    ("alias.example.org", "CNAME", Answer(FOUND, ("second.example.org",))),
    ("second.example.org", "CNAME", Answer(FOUND, ("third.other.example",))),
    ("alias.example.org", "MX", Answer(NODATA)),
    ("bytes.example.org", "TXT", Answer(FOUND, ("caf\u00e9 \\xff",))),
    ("xn--gre-6ka8i.example.org", "TXT", Answer(FOUND, ("hello",))),
    # the host's search list never counts
    ("long", "TXT", Answer(NXDOMAIN)),
    # no such name can be
    (".".join(["a" * 60] * 5), "TXT", Answer(NXDOMAIN))])
def test_what_an_answer_means(resolver, monkeypatch, name, kind, expected):     # R48, R50
    monkeypatch.setenv("LOCALDOMAIN", "example.org")
    found = resolver.look_up(name, kind)
    assert found._replace(records=tuple(sorted(found.records))) == expected


def test_servfail_is_unknown_and_passes(unbound, resolver):                   # R48
    """The zone cannot be read, so that the failure comes at once, however slow the machine is."""
    found = resolver.look_up("spoilt.example", "TXT")
    assert found == Answer(UNKNOWN, why="the name server answered SERVFAIL")
    unbound.stop()
    unbound.write("spoilt.example", "@ MX 0 mx.spoilt.example.")
    unbound.start()
    assert resolver.look_up("spoilt.example", "MX").outcome == FOUND


def test_a_server_that_only_knows_its_own_zones_is_no_resolver():      # R48
    """Asked for a name that it has delegated, it refers to another, and says neither yes nor no."""
    refers = Answer(UNKNOWN, why="the name server does not resolve names for this host")
    for flags, expected in ((b"\x81\x00", refers), (b"\x85\x00", Answer(NODATA))):
        with Slow(until=1, flags=flags) as server:
            assert made(server.port).look_up("www.child.example.org", "TXT") == expected


def test_silence_is_unknown_within_the_time_limit():                            # R48
    asked = []
    with Slow() as hole:
        def look_up():
            hole.asked.clear()
            answer = made(hole.port, timeout=0.4).look_up("example.org", "TXT")
            assert answer == Answer(UNKNOWN, why="the name server did not answer in time")
            asked.append(len(hole.asked))
        assert 0.35 < quickest(look_up, 0.8)
    assert max(asked) == 2                              # a packet may get lost


@pytest.mark.parametrize("written, is_known", [
    (None, False), ("search example.org\n", False), ("nameserver localhost\n", False),
    ("# nameserver 192.0.2.9\nnameserver\nnameserver 127.0.0.1 # two\nnameserver ::1\n", True),
    ("nameserver localhost\ndomain a..b\nnameserver 127.0.0.1\n", True),   # as other programs do
    ("# caf\xe9\nsearch a..b\noptions what:1\nnameserver 127.0.0.1\n", True)])
def test_the_systems_name_servers_are_asked_or_all_is_unknown(tmp_path, written, is_known):
    path = tmp_path / "resolv.conf"             # R48
    if written:
        path.write_bytes(written.encode("latin-1"))
    answer = Resolver((), 0.2, str(path)).look_up("example.org", "TXT")
    assert answer.outcome == UNKNOWN
    assert (answer.why != "no name server is known here") == is_known


def test_the_next_name_server_is_asked(unbound):                     # R48
    with Slow() as hole, Unbound({}, "refuse") as refuses:
        assert made(refuses.port).look_up("example.org", "TXT") == Answer(
            UNKNOWN, why="the name server answered REFUSED")
        # the silent one is given a share of it
        ports = (free_port(), hole.port, refuses.port, unbound.port)
        resolver = Resolver([("localhost", 53), *(("127.0.0.1", port) for port in ports)], 6)
        assert resolver.look_up("example.org", "MX").outcome == FOUND
        assert len(hole.asked) == 1


@pytest.mark.parametrize("is_stopped", [True, False])
def test_all_questions_are_asked_together_and_none_outlives_the_run(is_stopped):
    gc.collect()            # or files of the tests before it are closed meanwhile
    open_files = len(os.listdir("/proc/self/fd"))
    items = [(at, [(f"{at}.wild{question}.example.org", "TXT") for question in range(3)])
             for at in range(20)]
    with Slow() as hole, Slow(until=60) as slow:
        began = time.monotonic()
        port = hole.port if is_stopped else slow.port
        found = made(port, timeout=600).each(items, lambda: is_stopped)
        assert len(found) == (0 if is_stopped else 20)
        assert time.monotonic() - began < SOON
    assert len(os.listdir("/proc/self/fd")) == open_files


def test_a_defect_is_one_items_and_comes_in_place_of_its_answers(resolver):       # R73
    items = [(1, [("example.org", "NONSENSE")]), (2, [("example.org", "TXT")])]
    found = dict(resolver.each(items, lambda: False))
    assert "record type is unknown" in str(found[1])
    assert found[2]["example.org", "TXT"]


def test_without_dnspython_one_sentence_says_how_to_get_it():
    code = ("import sys; sys.modules['dns'] = None\nfrom jobs_lib.errors import JobsError\n"
            "try: import jobs_lib.ports.resolver\nexcept JobsError as e: print(e)")
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    said = "checking domains needs dnspython, which is not installed: run "
    assert run.stdout.startswith(said), run.stderr
