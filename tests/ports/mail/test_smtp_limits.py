"""Limits in time, held against a relay that drips; limits of the relay, kept without DATA."""
import socket
import threading
import time

import pytest

from tests.servers.misbehaving import HANG, Drip
from tests.servers.web import full
from tests.support.mail import CONTENT, ENVELOPE, limits, short, soon
from tests.support.patience import SOON
from tests.support.product import Content, Envelope

pytestmark = pytest.mark.slow       # waits for time limits

PHASES = pytest.mark.parametrize("phase, outcome", [
    ("greeting", "relay"), ("EHLO", "relay"), ("MAIL", "lost"), ("RCPT", "lost"), ("DATA", "lost"),
    ("dot", "uncertain")])
ENDLESS = b"".join(b"250-line %d\r\n" % number for number in range(10_000))


@pytest.mark.parametrize("answer", [HANG, Drip(b"250-x\r\n" * 1000, 0.1), Drip(ENDLESS, 0.001)],
                         ids=["silent", "drips", "drips lines"])
@PHASES
def test_each_phase_has_its_limit(relay, send, phase, outcome, answer):     # R30
    began = time.monotonic()
    assert send(relay(**{phase: answer}), limits=short(phase.lower())).outcome == outcome
    assert 0.4 < time.monotonic() - began < SOON


@pytest.mark.parametrize("phase, outcome", [("greeting", "relay"), ("EHLO", "relay"),
                                            ("RCPT", "lost"), ("dot", "uncertain")])
@pytest.mark.parametrize("answer", [ENDLESS[:-2] * 3, b"250 " + b"x" * 1_000_000],
                         ids=["lines", "one line"])
def test_an_endless_answer_ends_the_connection(relay, send, phase, outcome, answer):     # R30
    began = time.monotonic()
    assert send(relay(**{phase: answer})).outcome == outcome
    assert time.monotonic() - began < SOON


@PHASES
@pytest.mark.parametrize("answer", [HANG, Drip(b"250-x\r\n" * 1000, 0.05)], ids=["hangs", "drips"])
def test_the_total_leaves_time_to_store_the_result(relay, send, phase, outcome, answer):     # R30
    began, server = time.monotonic(), relay(**{phase: answer})
    assert send(server, until=began + 21, limits=limits(margin=20)).outcome == outcome
    assert 0.9 < time.monotonic() - began < 15


def test_without_time_for_an_answer_no_final_dot_is_sent(relay, send, monkeypatch):  # R30
    blocks, end = Content.blocks, soon(22)

    def late(content):
        for block in blocks(content):
            time.sleep(max(0, end - 19.9 - soon(0)))
            yield block
    monkeypatch.setattr(Content, "blocks", late)
    server = relay()
    # the margin begins while the content is read
    assert send(server, until=end, limits=limits(margin=20)).outcome == "retry"
    assert server.contents == []


def test_within_the_margin_no_connection_is_made(relay, send):     # R30
    server = relay()
    assert send(server, until=soon(4)).outcome == "lost"
    assert server.received == []


def test_a_relay_that_stops_reading_is_left(relay, send, stored):     # R30
    began, message = time.monotonic(), stored(b"x" * 78 + b"\r\n" * 8_000_000)
    result = send(relay(content=HANG), message=message, limits=short("content"))
    assert result.outcome == "retry"
    assert time.monotonic() - began < SOON


def test_over_the_relays_size_is_final_without_data(relay, send, stored):     # R31
    server = relay(("SIZE 100",))
    # 99 with CRLF
    assert send(server, message=stored(b"a\n" * 33)).outcome == "sent"
    # 68, 102 with
    result = send(server, message=stored(b"a\n" * 30, head=b"b\r\n" * 4))
    assert result == ("final", None, "", "the message has 102 octets, the relay takes at most 100")
    assert server.commands().count("DATA") == 1
    # many such messages make no new connections, which relays count
    assert send(server, message=stored(b"a\n")).outcome == "sent"
    assert len(server.received) == 1


def test_eight_bits_to_a_seven_bit_relay_are_final_without_data(relay, send, stored):     # R31
    server = relay(("PIPELINING",))
    for content in (CONTENT + b"caf\xe9\r\n", b"x" * 78 + b"\r\n" * 1_000_000 + b"\xff"):
        assert send(server, message=stored(content)) == (
            "final", None, "",
            "the message holds 8-bit data, the relay takes only 7-bit (no 8BITMIME)")
    assert send(server).outcome == "sent"
    assert server.commands().count("MAIL") == 1
    assert b"8BITMIME" not in server.received[0]
    server = relay(("8BITMIME",))
    assert send(server, message=stored(CONTENT + b"\xff")).outcome == "sent"
    assert b" BODY=8BITMIME\r\n" in server.received[0]


@pytest.mark.parametrize("envelope", [Envelope("a@b.example", "jürgen@bücher.example"),
                                      Envelope("jürgen@b.example", "a@home.example")])
def test_a_non_ascii_address_needs_smtputf8(relay, send, envelope):     # R31
    server = relay(("PIPELINING", "8BITMIME"))
    assert send(server, envelope) == (
        "final", None, "", "the address is not ASCII, the relay takes only ASCII (no SMTPUTF8)")
    assert "MAIL" not in server.commands()
    server = relay(("8BITMIME", "SMTPUTF8"))
    assert send(server, envelope).outcome == "sent"
    assert b" SMTPUTF8\r\n" in server.received[0]
    assert "jürgen".encode() in server.received[0]


@pytest.mark.parametrize("recipient", [             # others: tests/test_addresses.py
    "", "a@b.example\r\nRCPT TO:<x@y.example>", None, "a\ud800@b.example"])
def test_a_bad_recipient_is_final_and_never_on_the_wire(relay, send, recipient):     # R35
    server = relay()
    result = send(server, Envelope("", recipient))
    assert (result.outcome, result.code) == ("final", None)
    assert result.text.isprintable()
    assert server.received == []


def test_a_name_is_looked_up_within_the_limit(opened, stored, monkeypatch):     # R30
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answer.wait(60))
    began = time.monotonic()
    result = opened(port=1, limits=short("connect")).send(ENVELOPE, stored(), soon(), 1)
    answer.set()
    assert (result.outcome, result.text) == ("relay", "127.0.0.1:1: no connection in time")
    assert time.monotonic() - began < SOON


def test_a_silent_address_leaves_time_for_the_next(relay, opened, stored, monkeypatch):     # R30
    with full() as silent:                                      # further connects hang
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
                 for address in (silent, ("127.0.0.1", relay().port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
        began = time.monotonic()
        transport = opened(port=1, limits=limits(connect=2))    # half of it for each of the two
        assert transport.send(ENVELOPE, stored(), soon(), 1).outcome == "sent"
        assert 0.9 < time.monotonic() - began
