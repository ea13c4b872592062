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

ENDPOINTS, EACH, CONCURRENCY = 12, 2, 8
MOST_OPEN = 8 + 24                  # with those that have left their slot
NUMBER = ENDPOINTS * EACH
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"

STATEMENTS = {                      # just before this statement runs: may requests be in flight?
    "claim": ("SET claim_token = :token", False),
    "begin": ("SET status = 'sending'", None),
    "begun, not committed": ("COMMIT", None),
    "settle": ("response_status = :response_status", True),
    "finish": ("SET status = :status, finished_at = :finished_at, duration_ms", False),
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
    return Shell(tmp_path, engine_url, webhooks={"allow_networks": "127.0.0.0/8"})


def check_all_arrived(service: Shell, ids: list, counted: Counter, repeats: int) -> None:
    """Every row is `delivered`, every event arrived, so many repeats at most; nothing is held."""
    assert service.statuses("webhook_deliveries") == {"delivered": len(ids)}
    assert set(counted) == set(ids)
    assert sum(counted.values()) - len(ids) <= repeats
    assert not service.db.query("SELECT id FROM {webhook_deliveries} WHERE claim_run IS NOT NULL")


@pytest.mark.slow
@pytest.mark.parametrize("point", STATEMENTS)
def test_a_kill_at_a_statement_loses_nothing(service, point):     # R2 R22
    statement, in_flight = STATEMENTS[point]
    ids: list = []
    with Counting(latency=0.01) as web:
        for turn in REPEATS:
            taken = sum(web.count().values())
            ids += fill(service, web.port, ENDPOINTS, EACH)
            number = 1 + turn % 4 if in_flight is not False else 1
            process = service.start("retry_webhooks", kill=at_sql(statement, number))
            process.communicate(timeout=60)
            assert process.returncode == -signal.SIGKILL
            sending = service.statuses("webhook_deliveries").get("sending", 0)
            assert sending <= CONCURRENCY
            assert sending or not in_flight
            outcome = service.job("retry_webhooks")
            assert outcome["counts"].get("uncertain", 0) == sending
            assert sum(web.count().values()) - taken <= NUMBER + sending
        check_all_arrived(service, ids, web.count(), len(REPEATS) * CONCURRENCY)
    vanished = service.db.value("SELECT COUNT(*) FROM {job_runs} WHERE status = 'vanished'")
    assert vanished == len(REPEATS)


@pytest.mark.slow
def test_a_kill_on_the_wire_repeats_at_most_what_is_in_flight(service):     # R22
    running: list = []
    ids: list = []
    counted: Counter = Counter()
    for turn in REPEATS:
        with Counting(lambda: running[-1].kill(), 5 + turn % 15, latency=0.02) as web:
            ids += fill(service, web.port, ENDPOINTS, EACH)
            running.append(service.start("retry_webhooks"))
            running[-1].communicate(timeout=60)
            assert running[-1].returncode == -signal.SIGKILL
            sending = service.statuses("webhook_deliveries")["sending"]
            assert 1 <= sending <= CONCURRENCY
            attempts = {row["attempts"] for row in service.db.query(
                "SELECT attempts FROM {webhook_deliveries} WHERE status = 'sending'")}
            assert attempts == {2}
            assert service.job("retry_webhooks")["counts"]["uncertain"] == sending
            repeats = sum(web.count().values()) - len(web.count())
            assert repeats <= sending
            counted += web.count()
    check_all_arrived(service, ids, counted, len(REPEATS) * CONCURRENCY)
    # what was lost was sent again as the same attempt
    assert {row["attempts"] for row in service.db.query("SELECT attempts FROM "
                                                        "{webhook_deliveries}")} == {2}


@pytest.mark.slow
def test_a_kill_while_many_wait_for_an_answer_repeats_no_more_than_those(service):     # R22 R44
    running: list = []
    ids: list = []
    hosts = [f"127.0.0.{number}" for number in range(1, 41)]
    with Counting(lambda: running[-1].kill()) as web:
        for _ in REPEATS:
            web.left, web.latency, heard = MOST_OPEN, 30, len(web.requests)
            ids += fill(service, web.port, len(hosts), 1, hosts)
            running.append(service.start("retry_webhooks"))
            running[-1].communicate(timeout=60)
            assert running[-1].returncode == -signal.SIGKILL
            assert service.statuses("webhook_deliveries")["sending"] == MOST_OPEN
            assert len(web.requests) - heard == MOST_OPEN
            web.latency = 0
            assert service.job("retry_webhooks")["counts"]["uncertain"] == MOST_OPEN
        check_all_arrived(service, ids, web.count(), len(REPEATS) * MOST_OPEN)
