"""Against a real Postfix that refuses every bare line end and every command sent too early."""
from __future__ import annotations

import socket

import pytest

from tests.servers.postfix import Postfix
from tests.support.mail import CONTENT, ENVELOPE, soon
from tests.support.product import clock
from tests.support.shell import Shell

pytestmark = pytest.mark.slow       # starts a real Postfix


@pytest.fixture(scope="module")
def postfix():
    with Postfix() as server:
        yield server


@pytest.mark.parametrize("raw", [
    CONTENT, CONTENT.replace(b"\r\n", b"\n"), CONTENT.replace(b"\r\n", b"\r"), b"a: b\n\n.\n",
    b"a: b\r\r\n\n\r",
    b"a: b\r\n\r\nx\n.\r\nMAIL FROM:<evil@x.example>\r\n",
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


def test_notices_meet_a_relay_that_limits_and_one_that_defers(tmp_path):      # R27 R37
    with Postfix(a_minute=3, later=["grey@home.example"]) as server:
        service = Shell(tmp_path, f"sqlite:///{tmp_path}/jobs.db", mail={"port": server.port})
        for to in ("grey@home.example", *(f"u{number}@home.example" for number in range(6))):
            service.db.insert("notifications", kind="overflow_warning", to_email=to, subject="Held",
                              body_text="x\n", created_at=clock.now())
        outcome = service.job("send_notifications")
        assert (outcome["status"], outcome["counts"]["retried"]) == ("partial", 1)
        assert outcome["stop_reason"].startswith("the relay's own limit, paused until")
        assert "too much mail" in outcome["stop_reason"]
        rows = service.db.query("SELECT to_email, status, attempts, last_code, last_error "
                                "FROM {notifications}")
        sent = [row["to_email"] for row in rows if row["status"] == "sent"]
        assert 2 <= len(sent) <= 3
        assert len(server.delivered(len(sent))) == len(sent)
        assert {row["attempts"] for row in rows if row["status"] == "pending"
                and row["last_code"] is None} == {0}
        [grey] = [row for row in rows if row["to_email"] == "grey@home.example"]
        assert (grey["status"], grey["attempts"], grey["last_code"]) == ("pending", 1, 450)
        assert grey["last_error"].startswith("4.7.1 ")
