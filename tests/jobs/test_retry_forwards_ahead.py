"""A far relay is sent the commands of the next message early: what is durable before a content is
sent stays so, and a message that is not sent after all costs nothing."""
from __future__ import annotations

import signal

import pytest

from tests.jobs.test_retry_forwards_kill import MESSAGES, PHASES, Counting, soon
from tests.servers.misbehaving import Bye
from tests.support.product import connect
from tests.support.shell import Shell

FAR = "jobs_lib.ports.mail.smtp:FAR=0"          # every relay is
PIPELINING = ("PIPELINING", "SIZE 0", "8BITMIME")
JOB = "retry_forwards"


@pytest.fixture
def service(tmp_path, engine_url):
    return Shell(tmp_path, engine_url)


def relay(service: Shell, *strike, **answers) -> Counting:
    """A relay that the service sends by."""
    made = Counting(*strike, extensions=PIPELINING, **answers)
    service.configure("mail", port=made.port)
    return made


def rows(service: Shell, *columns: str) -> list:
    """Of each forward, in the order of their ids."""
    return [tuple(row.values()) for row in service.db.query(
        f"SELECT {', '.join(columns)} FROM {{failed_emails}} ORDER BY id")]


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
# R22
def test_a_kill_on_the_wire_repeats_at_most_the_one_in_flight(service, phase):
    for number in range(1, MESSAGES + 1):
        running: list = []
        service.forwards(MESSAGES)
        with relay(service, lambda: running[-1].kill(), phase, number) as server:    # noqa: B023
            running.append(service.start(JOB, small=FAR))
            running[-1].communicate(timeout=60)
            assert running[-1].returncode == -signal.SIGKILL
            in_flight = service.statuses().get("sending", 0)
            assert in_flight <= 1
            for _ in range(2):                          # the next run, and five minutes later
                service.run(JOB, small=FAR)
                soon(service)
            counted = server.count()
        assert len(counted) == MESSAGES
        assert MESSAGES <= sum(counted.values()) <= MESSAGES + in_flight
        assert service.statuses() == {"sent": number * MESSAGES}


def test_each_result_is_stored_before_the_next_content_is_sent(service):     # R22
    """When the relay has taken a content, at most its own row has begun and no other has no
    result."""
    seen = []

    class Looking(Counting):
        def answer(self, phase):
            if phase == "dot":
                db = connect(service.url)               # this thread's own
                seen.append(db.query("SELECT status, attempts FROM {failed_emails} ORDER BY id"))
                db.close()
            return super().answer(phase)

    service.forwards(3)
    with Looking(extensions=PIPELINING) as server:
        service.configure("mail", port=server.port)
        service.run(JOB, small=FAR)
    assert server.commands() == ["ehlo", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]
    assert [[row["status"] for row in at] for at in seen] == [
        ["sending", "pending", "pending"], ["sent", "sending", "pending"],
        ["sent", "sent", "sending"]]
    assert [[row["attempts"] for row in at] for at in seen] == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


# R27
def test_a_quota_in_the_answer_to_one_leaves_the_next_untouched(service):
    service.forwards(3)
    quota = b"452 4.3.2 Domain example.org has exceeded the max emails per hour (125/100)"
    with relay(service, dot=[quota]) as server:
        outcome = service.job(JOB, small=FAR)
    assert outcome["stop_reason"].startswith("the relay's own limit, paused until")
    assert rows(service, "status", "attempts") == [("pending", 0)] * 3
    assert [row[0] is None for row in rows(service, "last_attempt_at")] == [False, True, True]
    assert server.accepted == []
    assert len(server.contents) == 1


# R28
def test_one_that_is_cancelled_while_it_is_open_is_not_sent(service):
    first, second, third = (service.forwards(1, envelope_to=f"{name}@home.example")[0]
                            for name in ("first", "second", "third"))

    class Deleting(Counting):
        def answer(self, phase):
            if phase == "dot" and not self.accepted:
                db = connect(service.url)               # this thread's own
                db.execute("DELETE FROM {aliases} WHERE id = (SELECT alias_id FROM "
                           "{failed_emails} WHERE id = :id)", id=second)
                db.close()
            return super().answer(phase)

    with Deleting(extensions=PIPELINING) as server:
        service.configure("mail", port=server.port)
        counts = service.job(
            JOB, small=f"{FAR},jobs_lib.engines.mail_sending:RECHECK_SECONDS=0")["counts"]
    assert (counts["sent"], counts["cancelled"]) == (2, 1)
    assert rows(service, "id", "status") == [(first, "sent"), (second, "failed"), (third, "sent")]
    assert len(server.contents) == len(server.accepted) == 2
    # the open one was hung up on
    assert len(server.received) == 2


def test_a_limit_between_two_sends_no_more(service):     # R37
    service.configure("mail", per_hour=2)
    service.forwards(4)
    with relay(service) as server:
        outcome = service.job(JOB, small=FAR)
    assert outcome["status"] == "partial"
    assert sorted(rows(service, "status", "attempts")) == [("pending", 0)] * 2 + [("sent", 1)] * 2
    assert len(server.contents) == 2
    assert service.db.value("SELECT COUNT(*) FROM {attempts} WHERE outcome = 'sent'") == 2


def test_a_stop_between_two_sends_no_more(service):
    service.forwards(3)
    running: list = []
    with relay(service, lambda: running[-1].terminate(), "dot", 1) as server:
        running.append(service.start(JOB, small=FAR))
        running[-1].communicate(timeout=60)
    assert rows(service, "status", "attempts") == [("sent", 1), ("pending", 0), ("pending", 0)]
    assert len(server.contents) == 1


# R29
def test_connections_that_break_after_each_message_lose_none(service):
    service.forwards(6)
    with relay(service, dot=[Bye(b"250 2.0.0 Ok: and bye")] * 6) as server:
        service.run(JOB, small=FAR)
    assert service.statuses() == {"sent": 6}
    assert set(server.count().values()) == {1}
