"""Killed at any point, no forward is lost, and at most the one in flight is sent twice."""
from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
from collections import Counter

import pytest

from tests.servers.misbehaving import Bye, Relay
from tests.servers.smtp_sink import Sink
from tests.support.product import connect
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

MESSAGES = 4
TURNS = range(max(MESSAGES, len(REPEATS)))      # one at each message, more with JOBS_TEST_REPEATS
MOST_KILLS = 50

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


def soon(service: Shell) -> None:
    """What was lost in flight is due again: the time has passed, five minutes or more."""
    service.db.execute("UPDATE {failed_emails} SET next_attempt_at = :now WHERE uncertain > 0",
                       now=service.db.value("SELECT MIN(created_at) FROM {failed_emails}"))


def five_minutes_later(service: Shell) -> None:
    """The next run, and the one five minutes after it."""
    service.run("retry_forwards")
    soon(service)
    service.run("retry_forwards")


def check_all_sent(service: Shell, counted: Counter, messages: int, kills: int) -> None:
    """Every row is `sent`, every message was taken, repeats are at most the kills."""
    assert service.statuses() == {"sent": messages}
    assert len(counted) == messages
    assert sum(counted.values()) - messages <= kills
    assert not service.db.query("SELECT id FROM {failed_emails} WHERE claim_run IS NOT NULL")


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
        check_all_sent(service, relay.count(), times * MESSAGES, times)
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


@pytest.mark.slow
def test_two_thousand_messages_survive_thirty_random_kills(service):     # R22
    total, kills, window = 2000, 0, 0.12
    service.forwards(total)
    seed = random.randrange(2 ** 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with Sink() as sink:
        service.configure("mail", port=sink.port)
        while (sent := service.statuses().get("sent", 0)) < total:
            soon(service)
            process = service.start("retry_forwards")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, window) if kills < MOST_KILLS else 120)
            process.kill()
            process.communicate()
            kills += process.returncode == -signal.SIGKILL
            # as long as it takes to strike about 50 times, however fast this machine is
            window *= 0.8 if service.statuses().get("sent", 0) - sent > total / MOST_KILLS else 1.1
        counted = sink.count()
    assert kills >= 30
    check_all_sent(service, counted, total, kills)
    assert os.listdir(service.spool)            # the files of the last runs go with the next


@pytest.mark.slow
# R1
def test_of_fifty_started_at_once_one_works_and_nothing_is_sent_twice(mariadb, tmp_path):
    service = Shell(tmp_path, mariadb.database(), core={"lock": "database"})
    service.forwards(100)
    with Counting() as relay:
        relay.latency = 0.02                    # the one that works is busy until all have tried
        service.configure("mail", port=relay.port)
        processes = [service.start("retry_forwards", "--json") for _ in range(50)]
        outs = [process.communicate(timeout=120) for process in processes]
        counted = relay.count()
    assert [process.returncode for process in processes] == [0] * 50, outs
    runs = Counter(row["status"] for row in service.db.query("SELECT status FROM {job_runs}"))
    assert runs == {"ok": 1, "skipped": 49}
    check_all_sent(service, counted, 100, 0)


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


def test_a_stop_between_two_sends_no_more(service):
    service.forwards(3)
    running: list = []
    with Counting(lambda: running[-1].terminate(), "dot", 1) as server:
        service.configure("mail", port=server.port)
        running.append(service.start("retry_forwards"))
        running[-1].communicate(timeout=60)
    assert service.statuses() == {"sent": 1, "pending": 2}
    assert len(server.contents) == 1


# R29
def test_connections_that_break_after_each_message_lose_none(service):
    service.forwards(6)
    with Counting(dot=[Bye(b"250 2.0.0 Ok: and bye")] * 6) as server:
        service.configure("mail", port=server.port)
        service.run("retry_forwards")
    assert service.statuses() == {"sent": 6}
    assert set(server.count().values()) == {1}
