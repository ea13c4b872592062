"""Killed at any point, no notice is lost, and at most the one in flight is sent twice, with the
same Message-ID."""
from __future__ import annotations

import signal

import pytest

from jobs_lib import clock
from tests.jobs.test_retry_forwards_kill import PHASES, STATEMENTS, Counting
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql

pytestmark = pytest.mark.slow
JOB = "send_notifications"
NOTICES = 4


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url)
    made.owner()
    return made


def queue(service) -> None:
    with service.db.transaction():
        for _ in range(NOTICES):
            service.db.insert("notifications", user_id=1, kind="overflow_warning",
                              persona="overflow", to_email="owner@home.example", subject="Held",
                              body_text="x\n", created_at=clock.now())


def statuses(service) -> dict:
    return {row["status"]: row["number"] for row in service.db.query(
        "SELECT status, COUNT(*) AS number FROM {notifications} GROUP BY status")}


@pytest.mark.parametrize("point", STATEMENTS)
def test_a_kill_at_a_statement_loses_nothing(service, point):     # R2 R22
    statement, in_flight = STATEMENTS[point]
    with Counting() as relay:
        service.configure("mail", port=relay.port)
        for turn in REPEATS:
            taken = sum(relay.count().values())
            queue(service)
            number = 1 + turn % NOTICES if in_flight is not False else 1
            service.run(JOB, code=-signal.SIGKILL, kill=at_sql(statement, number))
            if in_flight:
                assert statuses(service)["sending"] == 1
            service.run(JOB)
            assert statuses(service) == {"sent": (turn + 1) * NOTICES}
            sent = sum(relay.count().values()) - taken
            assert NOTICES <= sent <= NOTICES + (in_flight is not False)
        assert len(relay.count()) == NOTICES * len(REPEATS)
    vanished = service.db.value("SELECT COUNT(*) FROM {job_runs} WHERE status = 'vanished'")
    assert vanished == len(REPEATS)


@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_on_the_wire_repeats_at_most_that_notice(service, phase):     # R22
    running = []
    for turn in REPEATS:
        queue(service)
        with Counting(lambda: running[-1].kill(), phase, 1 + turn % NOTICES) as relay:
            service.configure("mail", port=relay.port)
            running.append(service.start(JOB))
            running[-1].communicate(timeout=60)
            assert running[-1].returncode == -signal.SIGKILL
            assert statuses(service)["sending"] == 1
            assert service.job(JOB)["counts"]["uncertain"] == 1
            counted = relay.count()
            assert len(counted) == NOTICES
            assert sum(counted.values()) == NOTICES + (phase == "dot")
    assert statuses(service) == {"sent": NOTICES * len(REPEATS)}
