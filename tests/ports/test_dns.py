"""The DNS port against real servers: Knot holds the zones, Unbound resolves, a socket that never
answers is silent."""
from __future__ import annotations

import subprocess
import sys
import time
import types
from datetime import timedelta

import pytest

from jobs_lib.ports import dns
from jobs_lib.ports.dns import FOUND, NODATA, NXDOMAIN, UNKNOWN, Answer, Resolver, open_resolver
from tests.servers.dns_servers import Authority, BlackHole, Unbound, free_port
from tests.support.shell import ROOT

LONG = " ".join(f'"{part}"' for part in ("a" * 250, "b" * 250, "c" * 250, "d" * 250, "e" * 250,
                                         "f" * 250))
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
def authority():
    with Authority() as server:
        server.zone("example.org", ZONE)
        server.zone("other.example", 'third TXT "at the end"')
        yield server


@pytest.fixture(scope="module")
def unbound(authority):
    with Unbound(authority) as server:
        yield server


@pytest.fixture
def resolver(unbound):
    return made(unbound.port)


def made(*ports: int, timeout: float = 5.0) -> Resolver:
    return Resolver([("127.0.0.1", port) for port in ports], timeout, 8)


@pytest.mark.parametrize("name", ["example.org", "EXAMPLE.org."])
def test_mx_records_in_lower_case_and_without_the_dot(resolver, name):          # R50
    answer = resolver.look_up(name, "MX")
    assert (answer.outcome, sorted(answer.records)) == (FOUND, [(10, "mx1.service.example"),
                                                                (20, "mx2.service.example")])


def test_the_strings_of_a_text_are_joined(resolver):                            # R50
    assert sorted(resolver.look_up("example.org", "TXT").records) == [
        "porter-verify=abc", "v=spf1 include:spf.service.example ~all"]


def test_a_large_answer_comes_by_tcp(resolver, unbound):                        # R50
    import dns.flags
    import dns.message
    import dns.query
    cut_off = dns.query.udp(dns.message.make_query("long.example.org.", "TXT"), "127.0.0.1", 5,
                            unbound.port)
    assert cut_off.flags & dns.flags.TC
    (text,) = resolver.look_up("long.example.org", "TXT").records
    assert text == "".join(letter * 250 for letter in "abcdef")


@pytest.mark.parametrize("name, kind, expected", [
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
    # no such name can be
    ("a" * 64 + ".example.org", "TXT", Answer(NXDOMAIN)),
    (".".join(["a" * 60] * 5), "TXT", Answer(NXDOMAIN)),
    ("two..dots.example.org", "TXT", Answer(NXDOMAIN)),
])
def test_what_an_answer_means(resolver, name, kind, expected):                  # R48, R50
    assert resolver.look_up(name, kind) == expected


def test_a_circle_of_aliases_says_nothing(resolver):                            # R48
    assert resolver.look_up("loop1.example.org", "TXT").outcome in (UNKNOWN, NODATA)


def test_the_search_list_never_counts(resolver, monkeypatch):                   # R50
    monkeypatch.setenv("LOCALDOMAIN", "example.org")
    assert resolver.look_up("long", "TXT") == Answer(NXDOMAIN)


def test_servfail_is_unknown_and_passes(authority, resolver):                   # R48
    authority.stop()
    try:
        assert resolver.look_up("example.org", "TXT") == Answer(UNKNOWN, why="the name server "
                                                                "answered SERVFAIL")
    finally:
        authority.start()
    assert resolver.look_up("example.org", "MX").outcome == FOUND


def test_refused_is_unknown(authority):                                         # R48
    with Unbound(authority, "refuse") as server:
        assert made(server.port).look_up("example.org", "TXT") == Answer(
            UNKNOWN, why="the name server answered REFUSED")


def test_a_server_that_only_knows_its_own_zones_is_no_resolver(authority):      # R48
    """Asked for a name that it has delegated, it refers to another server, and says neither yes nor
    no."""
    authority.zone("parent.example", "child NS ns.elsewhere.example.")
    answer = made(authority.port).look_up("www.child.parent.example", "TXT")
    assert answer == Answer(UNKNOWN, why="the name server does not look names up for others")
    assert made(authority.port).look_up("example.org", "MX").outcome == FOUND


def test_silence_is_unknown_within_the_time_limit():                            # R48
    with BlackHole() as hole:
        began = time.monotonic()
        answer = made(hole.port, timeout=0.4).look_up("example.org", "TXT")
        assert 0.35 < time.monotonic() - began < 0.8
        assert answer == Answer(UNKNOWN, why="the name server did not answer in time")
        assert hole.asked == 2                          # a packet may get lost


def test_nobody_there_is_unknown():                                             # R48
    assert made(free_port(), timeout=0.2).look_up("example.org", "TXT").outcome == UNKNOWN


def test_no_name_server_is_unknown(tmp_path):                                   # R48
    (tmp_path / "resolv.conf").write_text("search example.org\n")
    section = types.SimpleNamespace(nameservers=(), timeout=timedelta(seconds=1), concurrency=1)
    for path in (tmp_path / "resolv.conf", tmp_path / "not-there"):
        answer = open_resolver(section, str(path)).look_up("example.org", "TXT")
        assert answer == Answer(UNKNOWN, why="no name server is known here")


def test_the_systems_name_servers_are_read(tmp_path):
    (tmp_path / "resolv.conf").write_text("# nameserver 192.0.2.9\nnameserver 192.0.2.1\noptions "
                                          "edns0\nnameserver\nnameserver 2001:db8::1 # two\n")
    assert dns.system_nameservers(str(tmp_path / "resolv.conf")) == (("192.0.2.1", 53),
                                                                     ("2001:db8::1", 53))


def test_a_name_server_without_an_address_is_not_asked(tmp_path):               # R48
    (tmp_path / "resolv.conf").write_text("nameserver localhost\nnameserver 192.0.2.1\nnameserver "
                                          "fe80::1%eth0\n")
    assert dns.system_nameservers(str(tmp_path / "resolv.conf")) == (("192.0.2.1", 53),
                                                                     ("fe80::1%eth0", 53))
    answer = Resolver([("localhost", 53)], 1, 1).look_up("example.org", "TXT")
    assert answer == Answer(UNKNOWN, why="localhost is no address of a name server")


def test_the_good_one_is_asked_after_one_without_an_address(unbound):
    both = Resolver([("localhost", 53), ("127.0.0.1", unbound.port)], 5, 8)
    assert both.look_up("example.org", "MX").outcome == FOUND


@pytest.mark.parametrize("started", [0, 2])
def test_without_more_threads_those_that_there_are_do_it(resolver, monkeypatch, started):
    import threading
    real, calls = threading.Thread.start, []

    def start(thread):
        calls.append(thread)
        if len(calls) > started:
            raise RuntimeError("can't start new thread")
        real(thread)
    monkeypatch.setattr(threading.Thread, "start", start)
    items = [(number, [(f"{number}.wild.example.org", "TXT")]) for number in range(9)]
    found = dict(resolver.each(items, lambda: False))
    met = {answer for answers in found.values() for answer in answers.values()}
    assert met == {Answer(FOUND, ("any",))}
    assert (sorted(found), len(calls)) == (list(range(9)), started + 1)


def test_the_next_name_server_is_asked(authority, unbound):
    with BlackHole() as hole, Unbound(authority, "refuse") as refuses:
        began = time.monotonic()
        resolver = made(hole.port, refuses.port, unbound.port, timeout=1.2)
        assert resolver.look_up("example.org", "MX").outcome == FOUND
        assert time.monotonic() - began < 1
        assert hole.asked == 1


def test_a_forged_answer_is_not_taken():
    """One with another id, which is not the answer to our question."""
    import socket
    import threading
    with socket.socket(type=socket.SOCK_DGRAM) as liar:
        liar.bind(("127.0.0.1", 0))
        liar.settimeout(5)

        def lie():
            for _ in range(2):
                question, sender = liar.recvfrom(512)
                liar.sendto(bytes([question[0] ^ 255]) + question[1:2] + b"\x81\x83" + question[4:],
                            sender)
        thread = threading.Thread(target=lie, daemon=True)
        thread.start()
        assert made(liar.getsockname()[1], timeout=0.6).look_up("example.org",
                                                                "TXT").outcome == UNKNOWN


def test_several_items_are_asked_for_together(resolver, unbound):
    """Twenty of which one gets no answer: it holds up none of the others."""
    items = [(number, [("example.org", "MX"), (f"{number}.wild.example.org", "TXT")])
             for number in range(20)]
    found = dict(resolver.each(items, lambda: False))
    assert sorted(found) == list(range(20))
    assert found[7]["7.wild.example.org", "TXT"] == Answer(FOUND, ("any",))
    assert all(answers["example.org", "MX"].outcome == FOUND for answers in found.values())


def test_all_questions_of_one_item_have_a_time_limit_together():
    with BlackHole() as hole:
        began = time.monotonic()
        ((_, answers),) = made(hole.port,
                               timeout=0.1).each([(1,
                                                   [(f"{n}.example", "TXT") for n in range(20)])],
                                                 lambda: False)
        assert time.monotonic() - began < 0.9
        assert {answer.outcome for answer in answers.values()} == {UNKNOWN}
        assert len(answers) == 20


def test_a_run_that_is_to_stop_does_not_wait_for_answers():
    with BlackHole() as hole:
        began = time.monotonic()
        items = [(number, [("example.org", "TXT")]) for number in range(50)]
        assert list(made(hole.port, timeout=5).each(items, lambda: time.monotonic() - began
                                                    > 0.2)) == []
        assert time.monotonic() - began < 1


def test_a_defect_in_a_thread_is_one_items_and_comes_in_place_of_its_answers(resolver):       # R73
    found = dict(resolver.each([(1, [("example.org", "NONSENSE")]), (2, [("example.org", "TXT")])],
                               lambda: False))
    assert "record type is unknown" in str(found[1])
    assert found[2]["example.org", "TXT"]


def test_without_dnspython_one_sentence_says_how_to_get_it():
    code = ("import sys; sys.modules['dns'] = None\nfrom jobs_lib.ports.dns import Resolver\n"
            "from jobs_lib.errors import JobsError\ntry: Resolver((), 1, 1)\nexcept JobsError as "
            "e: print(e)")
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.startswith("checking domains needs dnspython, which is not installed: run "
                                 ), run.stderr
