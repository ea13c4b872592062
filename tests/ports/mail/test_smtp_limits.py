"""Limits in time, held against a relay that drips; limits of the relay, kept without DATA."""
from __future__ import annotations

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
def test_each_phase_has_its_limit(relay, opened, stored, phase, outcome, answer):     # R30
    began = time.monotonic()
    transport = opened(port=relay(**{phase: answer}).port, limits=short(phase.lower()))
    assert transport.send(ENVELOPE, stored(), soon(), 1).outcome == outcome
    assert 0.4 < time.monotonic() - began < SOON


@pytest.mark.parametrize("phase", ["greeting", "EHLO", "RCPT", "dot"])
@pytest.mark.parametrize("answer", [ENDLESS[:-2] * 3, b"250 " + b"x" * 1_000_000],
                         ids=["lines", "one line"])
def test_an_endless_answer_ends_the_connection(relay, opened, stored, phase, answer):     # R30
    began = time.monotonic()
    result = opened(port=relay(**{phase: answer}).port).send(ENVELOPE, stored(), soon(), 1)
    assert result.outcome == {"RCPT": "lost", "dot": "uncertain"}.get(phase, "relay")
    assert time.monotonic() - began < SOON


@PHASES
@pytest.mark.parametrize("answer", [HANG, Drip(b"250-x\r\n" * 1000, 0.05)], ids=["hangs", "drips"])
# R30
def test_the_total_leaves_time_to_store_the_result(relay, opened, stored, phase, outcome, answer):
    began = time.monotonic()
    transport = opened(port=relay(**{phase: answer}).port, limits=limits(margin=20))
    assert transport.send(ENVELOPE, stored(), began + 21, 1).outcome == outcome
    assert 0.9 < time.monotonic() - began < 15


def test_without_time_for_an_answer_no_final_dot_is_sent(relay, opened, stored, monkeypatch):  # R30
    blocks, end = Content.blocks, soon(22)

    def late(content):
        for block in blocks(content):
            time.sleep(max(0, end - 19.9 - soon(0)))
            yield block
    monkeypatch.setattr(Content, "blocks", late)
    server = relay()
    transport = opened(port=server.port, limits=limits(margin=20))
    # the margin begins while the content is read
    result = transport.send(ENVELOPE, stored(), end, 1)
    assert result.outcome == "retry"
    assert server.contents == []


def test_within_the_margin_no_connection_is_made(relay, opened, stored):     # R30
    server = relay()
    assert opened(port=server.port).send(ENVELOPE, stored(), soon(4), 1).outcome == "lost"
    assert server.received == []


def test_a_relay_that_stops_reading_is_left(relay, opened, stored):     # R30
    server = relay(content=HANG)
    began = time.monotonic()
    message = stored(b"x" * 78 + b"\r\n" * 8_000_000)
    assert opened(port=server.port, limits=short("content")).send(ENVELOPE, message, soon(),
                                                                1).outcome == "retry"
    assert time.monotonic() - began < SOON


def test_over_the_relays_size_is_final_without_data(relay, opened, stored):     # R31
    server = relay(("SIZE 100",))
    transport = opened(port=server.port)
    # 99 with CRLF
    assert transport.send(ENVELOPE, stored(b"a\n" * 33), soon(), 1).outcome == "sent"
    # 68, 102 with
    result = transport.send(ENVELOPE, stored(b"a\n" * 30, head=b"b\r\n" * 4), soon(), 2)
    assert result == ("final", None, "", "the message has 102 octets, the relay takes at most 100")
    assert server.commands().count("DATA") == 1
    # many such messages make no new connections, which relays count
    assert transport.send(ENVELOPE, stored(b"a\n"), soon(), 3).outcome == "sent"
    assert len(server.received) == 1


def test_eight_bits_to_a_seven_bit_relay_are_final_without_data(relay, opened, stored):     # R31
    server = relay(("PIPELINING",))
    transport = opened(port=server.port)
    result = transport.send(ENVELOPE, stored(CONTENT + b"caf\xe9\r\n"), soon(), 1)
    assert result == ("final", None, "",
                      "the message holds 8-bit data, the relay takes only 7-bit (no 8BITMIME)")
    late = stored(b"x" * 78 + b"\r\n" * 1_000_000 + b"\xff")
    assert transport.send(ENVELOPE, late, soon(), 2).outcome == "final"
    assert transport.send(ENVELOPE, stored(), soon(), 3).outcome == "sent"
    assert server.commands().count("MAIL") == 1
    assert b"8BITMIME" not in server.received[0]
    server = relay(("8BITMIME",))
    declared = opened(port=server.port).send(ENVELOPE, stored(CONTENT + b"\xff"), soon(), 4)
    assert declared.outcome == "sent"
    assert b" BODY=8BITMIME\r\n" in server.received[0]


@pytest.mark.parametrize("envelope", [Envelope("a@b.example", "jürgen@bücher.example"),
                                      Envelope("jürgen@b.example", "a@home.example")])
def test_a_non_ascii_address_needs_smtputf8(relay, opened, stored, envelope):     # R31
    server = relay(("PIPELINING", "8BITMIME"))
    assert opened(port=server.port).send(envelope, stored(), soon(), 1) == (
        "final", None, "", "the address is not ASCII, the relay takes only ASCII (no SMTPUTF8)")
    assert "MAIL" not in server.commands()
    server = relay(("8BITMIME", "SMTPUTF8"))
    assert opened(port=server.port).send(envelope, stored(), soon(), 1).outcome == "sent"
    assert b" SMTPUTF8\r\n" in server.received[0]
    assert "jürgen".encode() in server.received[0]


@pytest.mark.parametrize("recipient", [             # others: tests/test_addresses.py
    "", "a@b.example\r\nRCPT TO:<x@y.example>", None, "a\ud800@b.example"])
def test_a_bad_recipient_is_final_and_never_on_the_wire(relay, opened, stored, recipient):     # R35
    server = relay()
    result = opened(port=server.port).send(Envelope("", recipient), stored(), soon(), 1)
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
