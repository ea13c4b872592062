"""Killed at any point, a purge of logs changes no total and leaves no headers behind."""
from __future__ import annotations

import os
import random
import signal
import time
from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.support.databases import bulk, empty
from tests.support.repeats import REPEATS
from tests.support.shell import Shell, at_sql
from tests.support.totals import added_up

JOB = "purge_message_logs"
# two batches and a young part; rows past their owner's own retention
OLD, YOUNG, OWN = 1800, 100, 40
pytestmark = pytest.mark.slow

POINTS = {                              # just before which statement, and which of its occurrences
    "before a batch is added up": ("INSERT INTO {message_stats}", 1),
    "added up, headers are there": ("DELETE FROM {header_snapshots}", 1),
    "headers gone, rows are there": ("DELETE FROM {message_logs}", 1),
    "a batch not committed": ("COMMIT", 1),
    "a later batch added up": ("DELETE FROM {header_snapshots}", 2),
    "a later batch not committed": ("COMMIT", 2),
    "before a user's own rows": ("INSERT INTO {message_stats}", 4),
    "a user's own rows not committed": ("COMMIT", 4),
    "when all is deleted": ("INSERT INTO {job_state}", 1),
}


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url)
    yield made
    made.db.close()


def fill(service, old: int = OLD) -> None:
    """Rows of three users, one of them with a retention of their own; each has headers."""
    empty(service.db)
    now, chance = clock.now(), random.Random(old)
    bulk(service.db, "users", ["id", "email", "log_retention_days", "created_at"],
         [(1, "a@b.example", None, now), (2, "a@b.example", 5, now), (3, "a@b.example", 100, now)])
    moments = [(chance.randint(1, 3), now - timedelta(days=chance.randint(91, 99)))
               for _ in range(old)]
    moments += [(chance.choice((1, 3)), now - timedelta(days=chance.randint(1, 80)))
                for _ in range(YOUNG)]
    moments += [(2, now - timedelta(days=10))] * OWN + [(2, now - timedelta(days=1))] * 5
    bulk(service.db, "message_logs", ["id", "user_id", "alias_id", "direction", "status",
                                      "bytes_used", "created_at"],
         [(id, user, chance.choice((None, 4, 5)), chance.choice(("forward", "reply")), "delivered",
           chance.randint(1, 10 ** 6), moment) for id, (user, moment) in enumerate(moments, 1)])
    bulk(service.db, "header_snapshots", ["id", "message_log_id", "user_id"],
         [(id, id, 1) for id in range(1, len(moments) + 1)])


def totals(service) -> list:
    """By user, alias, day, direction and status."""
    return [tuple(row.values()) for row in service.db.query(
        "SELECT user_id, alias_id, day, direction, status, email_count, bytes_used "
        f"FROM {added_up(service.db)}"
        " ORDER BY 1, 2, 3, 4, 5")]


def orphans(service) -> int:
    return service.db.value("SELECT COUNT(*) FROM {header_snapshots} WHERE NOT EXISTS (SELECT 1 "
                            "FROM {message_logs}"
                            " WHERE {message_logs}.id = {header_snapshots}.message_log_id)")


def left(service) -> list[int]:
    return [row["id"] for row in service.db.query("SELECT id FROM {message_logs} ORDER BY id")]


def stays(old: int) -> list[int]:
    """The young ones, and those of the second user's last days."""
    return [*range(old + 1, old + YOUNG + 1), *range(old + YOUNG + OWN + 1, old + YOUNG + OWN + 6)]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point(service, point):             # R2 R58
    at, number = POINTS[point]
    for _ in REPEATS:
        fill(service)
        before = totals(service)
        service.run(JOB, code=-signal.SIGKILL, kill=at_sql(at, number))
        assert totals(service) == before
        assert orphans(service) == 0
        service.job(JOB)
        assert totals(service) == before
        assert orphans(service) == 0
        assert left(service) == stays(OLD)


def test_killed_at_random_moments_until_it_is_done(service):        # R2 R58
    seed, old = int(os.environ.get("JOBS_TEST_SEED", time.time())), 12_000
    print(f"seed {seed}")
    chance, kills = random.Random(seed), 0
    for _ in REPEATS:
        fill(service, old)
        before = totals(service)
        for _ in range(40):
            process, rows = service.start(JOB), left(service)
            if chance.random() < 0.7:
                # at some moment after its first batch, however fast this machine is
                while process.poll() is None and left(service) == rows:
                    time.sleep(0.001)
                time.sleep(chance.uniform(0, 0.02))
            else:
                time.sleep(chance.uniform(0.02, 0.1))
            if process.poll() is None:
                process.kill()
                kills += 1
            process.communicate()
            assert totals(service) == before
            assert orphans(service) == 0
            if left(service) == stays(old):
                break
        service.job(JOB)
        assert totals(service) == before
        assert (orphans(service), left(service)) == (0, stays(old))
    assert kills > 0
