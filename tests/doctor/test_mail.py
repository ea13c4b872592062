"""The mail area: how far a connection to the relay gets, and our limits against the host's. No
message is ever sent."""
from __future__ import annotations

import contextlib
import socket
import time

import pytest

from jobs_lib.doctor import mail
from tests.servers.aiosmtpd_server import TlsRelay
from tests.servers.certificates import Authority
from tests.servers.misbehaving import Relay
from tests.servers.ports import free_port
from tests.support.patience import SOON

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.fixture
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(lite):
    """`secure(context, ...)` is a relay with STARTTLS and a login, set in config.ini."""
    with contextlib.ExitStack() as stack:
        def start(context, ca_file, **options):
            server = stack.enter_context(TlsRelay(context, "starttls", ("us", "hunter2hunter2")))
            lite.configure("mail", **{"transport": "smtp", "host": "127.0.0.1", "port": server.port,
                                      "per_hour": "80", "security": "starttls", "ca_file": ca_file,
                                      "username": "us", "password": "hunter2hunter2", **options})
            return server
        yield start


def test_a_relay_that_lets_us_in_is_in_order(lite, secure, authority):
    server = secure(authority.context("127.0.0.1"), authority.ca_file)
    assert lite.found("mail") in ([], [found for found in lite.found("mail")
                                       if "8BITMIME" in found.what])
    words = [found.what for found in lite.all("mail")]
    assert f"127.0.0.1:{server.port} accepts the connection, by TLSv1.3, signed in" in words
    assert server.mailbox.messages == []


def test_a_self_signed_certificate_is_refused_and_reported(lite, secure, authority):        # R34
    secure(authority.context("127.0.0.1", self_signed=True), authority.ca_file)
    found = lite.one("mail", "the certificate is not accepted")
    assert found.level == "problem"
    assert "self" in found.what
    assert "docs/failures.md" in found.fix


def test_a_certificate_of_another_name_is_refused_and_reported(lite, secure, authority):    # R34
    secure(authority.context("relay.example"), authority.ca_file)
    assert "the certificate is not accepted" in lite.one("mail", "127.0.0.1").what


def test_a_refused_login_is_told_without_the_password(lite, secure, authority):
    secure(authority.context("127.0.0.1"), authority.ca_file, password="another-secret")
    found = lite.one("mail", "the relay refused the username or password")
    assert "another-secret" not in "".join(found)


def test_a_dead_relay_is_reported(lite):
    port = free_port()
    lite.configure("mail", transport="smtp", host="127.0.0.1", port=port, security="none")
    assert lite.one("mail", f"127.0.0.1:{port}: Connection refused").level == "problem"


def test_a_relay_that_says_nothing_costs_a_few_seconds(lite, monkeypatch):
    monkeypatch.setattr(mail, "SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lite.configure("mail", transport="smtp", host="127.0.0.1", port=silent.getsockname()[1],
                       security="none")
        began = time.monotonic()
        assert lite.one("mail", "no answer in time").level == "problem"
        assert time.monotonic() - began < SOON


def test_what_the_relay_does_not_offer_is_reported(lite):
    with Relay(extensions=("SIZE 2000000",)) as relay:
        lite.configure("mail", transport="smtp", host="127.0.0.1", port=relay.port, security="none")
        size, bits, letters = lite.found("mail")
        assert (size.level, size.what) == ("warning",
                                           "The relay takes messages of 2.0 MB at most (SIZE)")
        assert ["8BITMIME" in bits.what, "SMTPUTF8" in letters.what] == [True, True]
        assert b"MAIL" not in b"".join(relay.received)


def test_mail_into_a_folder_is_noted(lite):
    assert lite.one("mail", "none is sent").level == "note"


@pytest.fixture
def cpanel(lite, monkeypatch):
    """A host with cPanel, and a relay that works."""
    (lite.folder / ".cpanel").mkdir()
    monkeypatch.setenv("HOME", str(lite.folder))
    with Relay() as relay:
        lite.configure("mail", transport="smtp", host="127.0.0.1", port=relay.port, security="none",
                       per_hour="80", failures_per_hour="4")
        yield lite


def test_on_cpanel_failures_per_hour_are_proposed(cpanel):                  # R37
    assert cpanel.found("mail") == []
    cpanel.configure("mail", failures_per_hour="off")
    found = cpanel.one("mail", "this host has cPanel")
    assert (found.level, found.fix.split("\n")[1:]) == ("warning",
                                                         ["  [mail]", "  failures_per_hour = 4"])


@pytest.mark.parametrize("limit", ["off", "501"])
def test_on_cpanel_a_limit_an_hour_is_asked_for(cpanel, limit):
    cpanel.configure("mail", per_hour=limit)
    assert "100-500 messages an hour" in cpanel.one("mail", f"per_hour = {limit}").why


def test_elsewhere_nothing_is_proposed(lite, monkeypatch):                  # R37
    monkeypatch.setattr(mail, "PANELS", ())
    with Relay() as relay:
        lite.configure("mail", transport="smtp", host="127.0.0.1", port=relay.port, security="none")
        assert lite.found("mail") == []


def test_a_relay_with_a_known_limit_is_compared_with_ours(lite):
    def told(**options):
        lite.configure("mail", transport="smtp", host="smtp.gmail.com", **options)
        return [found.fix for found in mail.limits(lite.examined()) if "Gmail" in found.what]

    assert "  per_day = 1600" in told()[0]
    assert told(per_day="1600") == []


def test_a_paused_relay_is_reported(lite):
    lite.db.upsert("relay_state", {"id": 1}, {"paused_until": "2999-01-01 00:00:00",
                                              "since": "2998-12-31 23:00:00",
                                              "reason": "Connection refused", "failures": 3})
    assert any("All mail is paused until 2999" in found.what for found in lite.found("mail"))
