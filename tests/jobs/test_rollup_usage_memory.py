"""Ten times the rows and the users take the same memory.  # R18"""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.jobs.test_purge_message_logs_memory import peak
from tests.support.databases import bulk
from tests.support.service import Service

pytestmark = pytest.mark.slow


def service(folder, factor: int) -> Service:
    """Ten days."""
    folder.mkdir()
    made, users, now = Service(folder, f"sqlite:///{folder}/jobs.db"), 1000 * factor, clock.now()
    bulk(made.db, "users", ["id", "email", "created_at"], [(id, f"u{id}@home.example", now)
                                                           for id in range(1, users + 1)])
    bulk(made.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(id, "send", "spam", now - timedelta(days=id % 10)) for id in range(1, users + 1)])
    for _ in range(3):
        made.db.execute("INSERT INTO {message_logs} (user_id, direction, status, created_at)"
                        " SELECT user_id % :users + 1, direction, status, created_at FROM {message_logs} WHERE id > 0",
                        users=users)
    made.db.execute("INSERT INTO {message_logs} (user_id, direction, status, created_at) SELECT user_id, direction,"
                    " status, :old FROM {message_logs} WHERE id > 0", old=now - timedelta(days=20))
    return made


def test_ten_times_as_much_in_the_same_memory(tmp_path):       # R18
    sizes: dict = {}
    for factor in (1, 10):
        made = service(tmp_path / str(factor), factor)
        for words in (("rollup_usage", "--dry-run"), ("rollup_usage",), ("rollup_usage", "--set", "keep=7d")):
            sizes.setdefault(words, []).append(peak(made, *words))
        assert made.db.value("SELECT COUNT(DISTINCT user_id) FROM {usage_daily}") == 1000 * factor
        made.db.close()
    assert {words: pair for words, pair in sizes.items() if pair[1] > pair[0] * 1.1} == {}
