"""Killed at any point, no forward is lost, and at most the one in flight is sent twice."""
from __future__ import annotations

import signal
from collections import Counter

import pytest

from tests.servers.misbehaving import Relay
from tests.support.product import connect
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

MESSAGES = 4
TURNS = range(max(MESSAGES, len(REPEATS)))      # one at each message, more with JOBS_TEST_REPEATS

# just before this statement runs: is a message on the wire or on its way?
STATEMENTS = {
    "begin": ("SET status = 'sending'", False),
    "on record": ("INSERT INTO {attempts}", None),
    "begun, not committed": ("COMMIT", None),
    "settle": ("UPDATE {attempts} SET outcome", True),
    "finish": ("SET status = :status, finished_at = :finished_at, duration_ms", False),
}
PHASES = ("MAIL", "RCPT", "DATA", "dot")


def turns(in_flight: bool | None) -> range:
    """Strikes at a statement: what comes before a message is on its way is met at the first."""
    return REPEATS if in_flight is False else TURNS


class Counting(Relay):
    """A relay that counts what it took, and calls `strike` at a phase."""

    def __init__(self, strike=None, phase: str = "", number: int = 0, extensions=("8BITMIME",),
                 **answers) -> None:
        super().__init__(extensions, **answers)
        self.strike, self.phase, self.left = strike, phase, number

    def answer(self, phase: str):
        """As the real one, after striking when it is time."""
        if phase == self.phase:
            self.left -= 1
            if self.left == 0:
                self.strike()
        return super().answer(phase)

    def count(self) -> Counter:
        """How often each message was taken."""
        return Counter(next(line for line in content.split(b"\r\n")
                            if line.startswith(b"Message-ID"))
                       for _, _, content in list(self.accepted))


@pytest.fixture
def service(tmp_path, engine_url):
    return Shell(tmp_path, engine_url)


def five_minutes_later(service: Shell) -> None:
    """The next run, and the one five minutes after it: what was lost in flight is due again."""
    service.run("retry_forwards")
    service.db.execute("UPDATE {failed_emails} SET next_attempt_at = :now WHERE uncertain > 0",
                       now=service.db.value("SELECT MIN(created_at) FROM {failed_emails}"))
    service.run("retry_forwards")


@pytest.mark.slow
@pytest.mark.parametrize("point", STATEMENTS)
def test_a_kill_at_a_statement_loses_nothing(service, point):     # R2 R22
    statement, in_flight = STATEMENTS[point]
    times = len(turns(in_flight))
    with Counting() as relay:
        service.configure("mail", port=relay.port)
        for turn in turns(in_flight):
            before, taken = service.statuses().get("sent", 0), sum(relay.count().values())
            service.forwards(MESSAGES)
            number = 1 + turn % MESSAGES if in_flight is not False else 1
            process = service.start("retry_forwards", kill=at_sql(statement, number))
            process.communicate(timeout=60)
            assert process.returncode == -signal.SIGKILL
            if in_flight:
                assert service.statuses()["sending"] == 1
            five_minutes_later(service)
            assert service.statuses() == {"sent": before + MESSAGES}
            sent = sum(relay.count().values()) - taken
            assert MESSAGES <= sent <= MESSAGES + (in_flight is not False)
        assert len(relay.count()) == times * MESSAGES           # each was taken
    assert not service.db.query("SELECT id FROM {failed_emails} WHERE claim_run IS NOT NULL")
    vanished = service.db.value("SELECT COUNT(*) FROM {job_runs} WHERE status = 'vanished'")
    assert vanished == times


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_on_the_wire_repeats_at_most_that_message(service, phase):     # R22
    running: list = []
    for turn in TURNS:
        service.forwards(MESSAGES)
        with Counting(lambda: running[-1].kill(), phase, 1 + turn % MESSAGES) as relay:
            service.configure("mail", port=relay.port)
            running.append(service.start("retry_forwards"))
            running[-1].communicate(timeout=60)
            assert running[-1].returncode == -signal.SIGKILL
            assert service.statuses()["sending"] == 1
            outcome = service.job("retry_forwards")
            assert outcome["counts"]["uncertain"] == 1
            five_minutes_later(service)
            counted = relay.count()
            assert len(counted) == MESSAGES
            # only a message that was taken comes twice
            assert sum(counted.values()) == MESSAGES + (phase == "dot")
    assert service.statuses() == {"sent": len(TURNS) * MESSAGES}


def test_each_result_is_stored_before_the_next_content_is_sent(service):     # R22
    """When the relay has taken a content, at most its own row has begun and no other has no
    result."""
    seen = []

    class Looking(Counting):
        def answer(self, phase: str):
            if phase == "dot":
                db = connect(service.url)               # this thread's own
                seen.append(db.query("SELECT status, attempts FROM {failed_emails} ORDER BY id"))
                db.close()
            return super().answer(phase)

    service.forwards(3)
    with Looking() as server:
        service.configure("mail", port=server.port)
        service.run("retry_forwards")
    assert server.commands() == ["ehlo", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]
    assert [[row["status"] for row in at] for at in seen] == [
        ["sending", "pending", "pending"], ["sent", "sending", "pending"],
        ["sent", "sent", "sending"]]
    assert [[row["attempts"] for row in at] for at in seen] == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
