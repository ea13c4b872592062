"""A far relay is sent the commands of the next notice early."""
from __future__ import annotations

import signal
from datetime import timedelta
from email import message_from_bytes, policy

import pytest

from jobs_lib import clock
from tests.jobs.test_retry_forwards_ahead import FAR, PIPELINING, relay
from tests.jobs.test_retry_forwards_kill import PHASES, Counting
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


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
# R22
def test_a_kill_on_the_wire_repeats_at_most_the_one_in_flight(service, phase):
    running: list = []
    with Counting(lambda: running[-1].kill(), phase, 2, PIPELINING) as server:
        service.configure("mail", port=server.port)
        running.append(service.start(JOB, small=FAR))
        running[-1].communicate(timeout=60)
        assert running[-1].returncode == -signal.SIGKILL
        in_flight = service.statuses("notifications").get("sending", 0)
        assert in_flight <= 1
        service.run(JOB, small=FAR)
        counted = server.count()
    assert len(counted) == len(NAMES)
    assert sum(counted.values()) <= len(NAMES) + in_flight
    assert service.statuses("notifications") == {"sent": len(NAMES)}
