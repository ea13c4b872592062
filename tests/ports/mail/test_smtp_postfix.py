"""Against a real Postfix that refuses every bare line end and every command sent too early."""
from __future__ import annotations

import socket

import pytest

from tests.servers.postfix import Postfix
from tests.support.mail import CONTENT, ENVELOPE, soon

pytestmark = pytest.mark.slow       # starts a real Postfix


@pytest.fixture(scope="module")
def postfix():
    with Postfix() as server:
        yield server


@pytest.mark.parametrize("raw", [
    CONTENT, CONTENT.replace(b"\r\n", b"\n"), CONTENT.replace(b"\r\n", b"\r"), b"a: b\n\n.\n",
    b"a: b\r\r\n\n\r", b"a: b\r\n\r\nx\n.\r\nMAIL FROM:<evil@x.example>\r\n",
    b"a: b\r\n\r\nx\n.\nMAIL FROM:<evil@x.example>\r\n",
    b"a: b\n\n" + b"." * 70_000, b"a: \xff\n\n\xfe", b"." * 3, b"a: b\n\n" + b"x\r" * 30_000,
])
def test_only_whole_line_ends_reach_the_wire(postfix, opened, stored, raw):     # R32
    before = len(postfix.delivered(0))
    transport = opened(port=postfix.port)
    results = [transport.send(ENVELOPE, stored(raw), soon(), n) for n in range(2)]
    assert [(result.outcome, result.enhanced) for result in results] == [("sent", "2.0.0")] * 2
    assert len(postfix.delivered(before + 2)) == before + 2
    assert "evil" not in postfix.log()


def test_the_judge_really_refuses_a_bare_line_end(postfix):     # R32
    with socket.create_connection(("127.0.0.1", postfix.port)) as sock:
        sock.settimeout(5)
        file = sock.makefile("rwb")
        file.readline()
        for line in (b"HELO x", b"MAIL FROM:<>", b"RCPT TO:<a@b.example>", b"DATA"):
            file.write(line + b"\r\n")
            file.flush()
            file.readline()
        file.write(b"a: b\n\r\n.\r\n")
        file.flush()
        assert b"bare <LF>" in file.readline()
