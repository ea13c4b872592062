"""Rollups on several hosts beside a purge of the logs end with the right numbers."""
from __future__ import annotations

import random
from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.jobs.test_rollup_usage import by_week, daily, detail, weekly
from tests.support.databases import bulk, empty
from tests.support.repeats import REPEATS
from tests.support.shell import Shell

JOB = "rollup_usage"
pytestmark = pytest.mark.slow


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url, rollup_usage={"keep": "30d"})
    yield made
    made.db.close()


def fill(service) -> None:
    """Ten days of three users, one of whom is gone; wrong rows of a day without mail, and rows that
    are too old."""
    empty(service.db)
    now, chance = clock.now(), random.Random(1)
    bulk(service.db, "users", ["id", "email", "created_at"],
         [(1, "a@b.example", now), (2, "a@b.example", now)])
    bulk(service.db, "message_logs", ["user_id", "direction", "status", "bytes_used", "created_at"],
         [(chance.randint(1, 3), "send", "spam", chance.randint(0, 10 ** 6),
           now - timedelta(days=number % 10)) for number in range(300)])
    bulk(service.db, "usage_daily", ["user_id", "day", "email_count"],
         [(1, (now - timedelta(days=age)).date(), 5) for age in (20, 60, 61, 62)])
    bulk(service.db, "usage_weekly", ["user_id", "week_start", "email_count"],
         [(1, "2020-01-06", 5)])


# R12 R58: three hosts, each with its own locks
def test_two_at_once_beside_a_purge_do_what_one_does(service):
    for _ in REPEATS:
        fill(service)
        runs = [service.start(*words, JOBS_CORE_STATE_DIR=f"state{host}") for host,
                words in enumerate((
            (JOB,), (JOB,), ("purge_message_logs", "--yes", "--set", "keep=3d")))]
        outs = [process.communicate(timeout=60) for process in runs]
        assert [process.returncode for process in runs] == [0, 0, 0], outs
        assert service.job(JOB)["status"] == "ok"
        assert daily(service.db) == detail(service.db)
        assert weekly(service.db) == by_week(daily(service.db))
