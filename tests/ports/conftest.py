"""What the tests of the mail port share: a `[mail]` section, a stored message, a private relay."""
from __future__ import annotations

import time
import types

import pytest

from jobs_lib.ports.mail import Envelope, Message, open_transport
from tests.servers.smtp_sink import Sink

ENVELOPE = Envelope("bounces@service.example", "owner@home.example")
CONTENT = (b"From: a@b.example\r\nTo: c@d.example\r\nMessage-ID: <1@b.example>\r\nSubject: Hello\r\n"
           b"\r\nText.\r\n")


def section(**changes):
    """A `[mail]` section as `cfg.section("mail")` gives it."""
    values = {"transport": "smtp", "maildir": "", "host": "127.0.0.1", "port": 25, "security": "none",
              "username": "", "password": "", "ca_file": "", "from_": "porter@service.example",
              "domain": "service.example", "srs_secret": "s3cret", "pause_patterns": None}
    return types.SimpleNamespace(**{**values, **changes})


@pytest.fixture
def stored(tmp_path):
    """Makes a stored message: `stored(b"...", head=b"...", name="m1")`."""
    def store(content=CONTENT, head=b"", name="m1"):
        path = tmp_path / name
        path.write_bytes(content)
        return Message(str(path), head)
    return store


@pytest.fixture
def sink():
    """A private smtp-sink that keeps what it takes."""
    with Sink() as server:
        yield server


@pytest.fixture
def opened():
    """Opens transports that are closed at the end: `opened(port=...)`, `opened(limits=..., port=...)`."""
    transports = []

    def open_(limits=None, stop=None, **changes):
        transport = open_transport(section(**changes), stop)
        if limits is not None:
            transport.limits = limits
        transports.append(transport)
        return transport
    yield open_
    for transport in transports:
        transport.close()


def soon(seconds: float = 120) -> float:
    """A hard limit for one message."""
    return time.monotonic() + seconds
