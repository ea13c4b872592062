"""A far relay is sent the commands of the next notice early."""
from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes, policy

import pytest

from tests.jobs.test_retry_forwards_ahead import FAR, relay
from tests.support.product import clock
from tests.support.shell import Shell

JOB = "send_notifications"
NAMES = ("ann", "berta", "charlotte")


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url)
    for name in NAMES:
        made.db.insert("notifications", kind="overflow_warning", persona="overflow",
                       to_email=f"{name}@home.example", subject="Held", body_text=f"{name}: ä\n",
                       created_at=clock.now() - timedelta(hours=5))
    return made


def test_each_is_announced_as_it_is_sent(service):     # R26
    with relay(service) as server:
        service.run(JOB, small=FAR)
    assert server.commands() == ["ehlo", *["MAIL", "RCPT", "DATA"] * len(NAMES), "QUIT"]
    assert [recipients for _, recipients, _ in server.accepted] == [
        [f"{name}@home.example".encode()] for name in NAMES]
    rows = service.db.query("SELECT status, first_attempt_at FROM {notifications} ORDER BY id")
    for row, (_, _, raw), name in zip(rows, server.accepted, NAMES):
        message = message_from_bytes(raw, policy=policy.default)
        assert message["Date"].datetime == clock.parse(row["first_attempt_at"])
        assert message.get_content().startswith(name)
        assert row["status"] == "sent"


def test_one_that_was_only_asked_about_has_no_first_attempt(service):     # R26
    quota = b"452 4.3.2 Domain example.org has exceeded the max emails per hour (125/100)"
    with relay(service, dot=[quota]) as server:
        service.run(JOB, small=FAR)
    assert b"berta@home.example" in server.received[0]
    assert service.db.query("SELECT attempts, first_attempt_at, status FROM {notifications}") == [
        {"attempts": 0, "first_attempt_at": None, "status": "pending"}] * len(NAMES)
