"""One message after another over one connection, each content exactly as it was stored."""
import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.smtp_sink import Sink
from tests.support.mail import CONTENT, ENVELOPE, soon
from tests.support.product import Envelope


@pytest.mark.parametrize("sender", ["bounces@service.example", ""])    # R27 R36
def test_a_message_arrives_with_its_envelope_and_the_answer_is_kept(sink, send, stored, sender):
    result = send(sink, Envelope(sender, "owner@home.example"), stored(head=b"X-Trace: 1\r\n"))
    assert result == ("sent", 250, "2.0.0", "Ok")
    content = (b"X-Trace: 1\r\n" + CONTENT).replace(b"\r\n", b"\n")
    assert sink.messages() == [(sender, ["owner@home.example"], content)]


def test_each_attempt_sends_the_same_bytes(relay, send, stored):     # R26
    server = relay(dot=[b"451 4.3.0 later", b"451 4.3.0 later"])
    message = stored(b"Subject: x\r\nDate: Tue, 24 Nov 2026 10:00:00 "
                     b"+0000\r\n\r\n.\r\n..\r\n\xc3\xa9\r\n")
    outcomes = [send(server, message=message).outcome for _ in range(3)]
    assert outcomes == ["retry", "retry", "sent"]
    assert server.contents == server.contents[:1] * 3


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_the_senders_dkim_signature_still_verifies(sink, send, stored, line_end):     # R26
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    private = key.private_bytes(serialization.Encoding.PEM,
                                serialization.PrivateFormat.TraditionalOpenSSL,
                                serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.DER,
                                           serialization.PublicFormat.SubjectPublicKeyInfo)
    body = (b"From: a@b.example\r\nSubject: x\r\n\r\n"
            b".one\r\n..two\r\n\r\n  three \xc3\xa9\r\n\r\n\r\n")
    signature = dkim.sign(body, b"s1", b"b.example", private, canonicalize=(b"simple", b"simple"))
    message = stored((signature + body).replace(b"\r\n", line_end), head=b"X-Trace: 1" + line_end)
    assert send(sink, message=message).outcome == "sent"
    arrived = sink.messages()[0][2].replace(b"\n", b"\r\n")
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    assert dkim.verify(arrived, dnsfunc=lambda *_, **__: record)
    assert not dkim.verify(arrived.replace(b"..two", b".two"), dnsfunc=lambda *_, **__: record)


# R39
def test_a_relay_that_ends_connections_after_100_messages_gets_them_all(relay, send, stored):
    server = relay(MAIL=[*[b"250 Ok"] * 100, b"421 4.7.0 too many messages on this connection"] * 9)
    message = stored()
    assert {send(server, message=message).outcome for _ in range(1000)} == {"sent"}
    assert len(server.accepted) == 1000
    assert len(server.received) <= 12


def test_the_greeting_names_the_service_and_asks_no_dns(relay, opened, stored):
    server = relay()
    for how in ({}, {"domain": "büro.example"}):
        opened(port=server.port, **how).send(ENVELOPE, stored(), soon(), 1)
    assert [bytes(stream).split(b"\r\n")[0].decode() for stream in server.received] == [
        f"ehlo {name}" for name in ("service.example", "xn--bro-hoa.example")]


def test_a_relay_without_esmtp_is_served_too(send):
    with Sink("-e") as sink:
        assert send(sink).outcome == "sent"
        assert len(sink.messages()) == 1
