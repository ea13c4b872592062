"""TLS verified by name, and a password that goes to nobody else."""
import base64

import pytest

from tests.servers.certificates import Authority
from tests.servers.misbehaving import Extra
from tests.servers.web import Web, silent
from tests.support.mail import ENVELOPE, short, soon
from tests.support.patience import SOON
from tests.support.product import is_loopback, session

LOGIN = {"username": "us", "password": "pass"}
SECURE = pytest.mark.parametrize("security", ["starttls", "tls"])
# {mechanism: what it sends}
AS_SENT = {"PLAIN": b"AUTH PLAIN AHVzAHBhc3M=\r\n", "LOGIN": b"AUTH LOGIN dXM=\r\ncGFzcw==\r\n"}


@pytest.fixture
def tls_relay(relay):
    """`tls_relay(context, "starttls")`: one that speaks TLS, from the start or when asked to."""
    return lambda context, security, mechanism="PLAIN", **answers: relay(
        (f"AUTH {mechanism}", *["STARTTLS"] * (security == "starttls")), tls=context, **answers)


@SECURE
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("mechanism", AS_SENT)
def test_a_verified_relay_gets_the_login_and_the_message(        # R34
        tls_relay, authority, send, security, host, mechanism):
    server = tls_relay(authority.context("localhost", "127.0.0.1"), security, mechanism)
    for _ in range(3):
        assert send(server, host=host, security=security, ca_file=authority.ca_file,
                    **LOGIN).outcome == "sent"
    assert AS_SENT[mechanism] in server.received[0]
    assert (len(server.received), len(server.accepted)) == (1, 3)
    if security == "starttls":
        assert server.commands()[:4] == ["ehlo", "STARTTLS", "ehlo", "AUTH"]


@SECURE
@pytest.mark.parametrize("fault, reason", [
    ({"name": "relay.example"}, "mismatch"), ({"expired": True}, "expired"),
    ({"self_signed": True}, "self-signed"), ({"ca_file": "other"}, "unable to get"),
    ({"ca_file": ""}, "certificate is not accepted"),           # the system's roots alone count
    ({"ca_file": "/nowhere.pem"}, "[mail] ca_file = /nowhere.pem: No"),
], ids=["wrong name", "expired", "self-signed", "unknown authority", "no ca_file", "none there"])
def test_a_certificate_that_does_not_verify_gets_nothing(        # R34
        tls_relay, authority, tmp_path, send, security, fault, reason):
    fault = {"name": "127.0.0.1", "ca_file": authority.ca_file, **fault}
    name, ca_file = fault.pop("name"), fault.pop("ca_file")
    server = tls_relay(authority.context(name, **fault), security)
    result = send(server, security=security, **LOGIN, ca_file={
        "other": Authority(tmp_path).ca_file}.get(ca_file, ca_file))
    assert result.outcome == "relay"
    assert reason in result.text.replace("self signed", "self-signed").replace("not valid for",
                                                                               "mismatch")
    assert not {"AUTH", "MAIL"} & {*server.commands()}


@pytest.mark.parametrize("offered, answer, text, commands", [
    ((), b"", "does not offer STARTTLS", ["ehlo"]),
    (("STARTTLS",), b"454 4.7.0 TLS not available", "TLS not available", ["ehlo", "STARTTLS"]),
    (("STARTTLS",), Extra(b"250-evil\r\n250 AUTH PLAIN\r\n"), "plain data", ["ehlo", "STARTTLS"]),
], ids=["not offered", "refused", "data injected behind it"])
def test_starttls_is_never_passed_by(relay, send, offered, answer, text, commands):  # R34
    server = relay(offered, STARTTLS=answer)
    result = send(server, security="starttls", **LOGIN)
    assert result.outcome == "relay"
    assert text in result.text
    assert server.commands() == commands


@SECURE
def test_a_wrong_password_is_never_shown(tls_relay, authority, send, security):  # R34
    server = tls_relay(authority.context("127.0.0.1"), security,
                       AUTH=b"535 5.7.8 Authentication credentials invalid")
    result = send(server, security=security, ca_file=authority.ca_file, username="us",
                  password="wr0ng")
    assert (result.outcome, result.code, result.enhanced) == ("relay", 535, "5.7.8")
    assert "wr0ng" not in result.text
    assert base64.b64encode(b"wr0ng").decode() not in result.text


def test_a_password_goes_in_clear_only_to_this_machine(relay, opened, stored, monkeypatch):  # R34
    server = relay(("AUTH PLAIN",))
    login = {"port": server.port, **LOGIN}
    assert opened(**login).send(ENVELOPE, stored(), soon(), 1).outcome == "sent"
    assert b"AUTH PLAIN" in server.received[0]
    monkeypatch.setattr(session, "is_loopback", lambda address: False)
    result = opened(**login).send(ENVELOPE, stored(), soon(), 2)
    assert result.outcome == "relay"
    assert "[mail] security = none" in result.text
    assert b"AUTH" not in server.received[1]


def test_loopback_is_judged_by_the_address_connected_to():     # R34
    here = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
    there = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "12.7.0.1", "0.0.0.0", ""]
    assert [address for address in (*here, *there) if is_loopback(address)] == here


def test_a_silent_relay_behind_tls_has_its_limit(send):     # R30
    began = soon(0)
    with Web(silent) as mute:
        assert send(mute, security="tls", limits=short("tls")).outcome == "relay"
    assert soon(0) - began < SOON
