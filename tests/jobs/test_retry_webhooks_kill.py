"""Killed at any point, no delivery is lost, and at most those in flight are sent twice."""
from __future__ import annotations

import signal
import time
from collections import Counter

import pytest

from tests.servers.web import Web
from tests.support.hooks import fill
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

ENDPOINTS, EACH, TOGETHER = 12, 2, 8
NUMBER = ENDPOINTS * EACH
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"

# Just before this statement runs, at its occurrence of this number or one of the next three: may
# requests be in flight?
STATEMENTS = {
    "begin": ("SET status = 'sending'", 1, None),
    "on record": ("INSERT INTO {attempts}", 1, None),
    "begun, not committed": ("COMMIT", 1, None),
    "content": ("SELECT payload", 1, True),
    "settle": ("response_status = :response_status", 5, True),      # after four of the rehearsal
    "finish": ("SET status = :status, finished_at = :finished_at, duration_ms", 1, False),
}


class Counting(Web):
    """Counts what arrives by its id; calls `strike` when it has heard `number` requests, before it
    answers."""

    def __init__(self, strike=None, number: int = 0, latency: float = 0.0) -> None:
        super().__init__(self._answer, host="")
        self.strike, self.left, self.latency = strike, number, latency

    def _answer(self, connection, heard) -> None:
        self.left -= 1
        if self.left == 0:
            self.strike()
        time.sleep(self.latency)
        connection.sendall(ANSWER)

    def count(self) -> Counter:
        """How often each event arrived."""
        return Counter(heard.headers["webhook-id"] for heard in list(self.requests))


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url, webhooks={"allow_networks": "127.0.0.0/8"})
    yield made
    made.close()


def go_on(service: Shell, sending: int) -> None:
    """The next run finds what was in flight, which is due five minutes later: as if these had
    passed, another run sends it as the same attempt."""
    assert service.job("retry_webhooks")["counts"].get("uncertain", 0) == sending
    lost = service.db.query("SELECT attempts, uncertain FROM {webhook_deliveries} "
                            "WHERE status = 'pending'")
    assert [(row["attempts"], row["uncertain"]) for row in lost] == [(2, 1)] * sending
    service.db.execute("UPDATE {webhook_deliveries} SET next_attempt_at = created_at "
                       "WHERE status = 'pending'")
    assert service.job("retry_webhooks")["counts"]["delivered"] == sending


def check_all_arrived(service: Shell, ids: list, counted: Counter, repeats: int) -> None:
    """Every row is `delivered`, every event arrived, so many repeats at most; each attempt is on
    record; nothing is held."""
    assert service.statuses("webhook_deliveries") == {"delivered": len(ids)}
    assert set(counted) == set(ids)
    assert sum(counted.values()) - len(ids) <= repeats
    assert not service.db.query("SELECT id FROM {webhook_deliveries} WHERE claim_run IS NOT NULL")
    outcomes = Counter(row["outcome"] for row in service.db.query("SELECT outcome FROM {attempts}"))
    assert outcomes == Counter(sent=len(ids), uncertain=repeats)


@pytest.mark.slow
@pytest.mark.parametrize("point", STATEMENTS)
def test_a_kill_at_a_statement_loses_nothing(service, point):     # R2 R22
    statement, first, in_flight = STATEMENTS[point]
    ids: list = []
    lost = 0
    with Counting(latency=0.01) as web:
        for turn in REPEATS:
            ids += fill(service, web.port, ENDPOINTS, EACH)
            number = first + (turn % 4 if in_flight is not False else 0)
            process = service.start("retry_webhooks", kill=at_sql(statement, number))
            process.communicate(timeout=60)
            assert process.returncode == -signal.SIGKILL
            sending = service.statuses("webhook_deliveries").get("sending", 0)
            assert sending <= TOGETHER
            assert sending or not in_flight
            lost += sending
            go_on(service, sending)
        check_all_arrived(service, ids, web.count(), lost)
    vanished = service.db.value("SELECT COUNT(*) FROM {job_runs} WHERE status = 'vanished'")
    assert vanished == len(REPEATS)


@pytest.mark.slow
def test_a_kill_on_the_wire_repeats_at_most_what_is_in_flight(service):     # R22
    running: list = []
    ids: list = []
    counted: Counter = Counter()
    lost = 0
    for turn in REPEATS:
        with Counting(lambda: running[-1].kill(), 5 + turn % 15, latency=0.02) as web:
            ids += fill(service, web.port, ENDPOINTS, EACH)
            running.append(service.start("retry_webhooks"))
            running[-1].communicate(timeout=60)
            assert running[-1].returncode == -signal.SIGKILL
            sending = service.statuses("webhook_deliveries")["sending"]
            assert 1 <= sending <= TOGETHER
            lost += sending
            go_on(service, sending)
            repeats = sum(web.count().values()) - len(web.count())
            assert repeats <= sending
            counted += web.count()
    check_all_arrived(service, ids, counted, lost)
    # what was lost was sent again as the same attempt
    assert {row["attempts"] for row in service.db.query("SELECT attempts FROM "
                                                        "{webhook_deliveries}")} == {2}
