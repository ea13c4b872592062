"""Ten times the rows take the same memory.  # R18

Users are as many: SQLite sorts those of a day within its caches, which are full with some thousand and no larger with
more.
"""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.jobs.test_purge_message_logs_memory import peak
from tests.support.databases import bulk
from tests.support.service import Service

pytestmark = pytest.mark.slow
USERS = 500


def service(folder, factor: int) -> Service:
    """The rows of twenty days."""
    folder.mkdir()
    made, now = Service(folder, f"sqlite:///{folder}/jobs.db"), clock.now()
    bulk(made.db, "users", ["id", "email", "created_at"], [(id, f"u{id}@home.example", now)
                                                           for id in range(1, USERS + 1)])
    bulk(made.db, "message_logs", ["user_id", "direction", "status", "created_at"],
         [(id, "send", "spam", now - timedelta(days=id % 10 + 10 * (id % 2))) for id in range(1, USERS + 1)])
    with made.db.transaction():
        for _ in range(40 * factor - 1):
            made.db.execute("INSERT INTO {message_logs} (user_id, direction, status, created_at) SELECT user_id,"
                            " direction, status, created_at FROM {message_logs} WHERE id <= :users", users=USERS)
    return made


def test_ten_times_as_much_in_the_same_memory(tmp_path):       # R18
    sizes: dict = {}
    for factor in (1, 10):
        made = service(tmp_path / str(factor), factor)
        for words in (("rollup_usage", "--dry-run"), ("rollup_usage",), ("rollup_usage", "--set", "keep=7d")):
            sizes.setdefault(words, []).append(peak(made, *words))
        assert made.db.value("SELECT MAX(email_count) FROM {usage_daily}") == 40 * factor
        made.db.close()
    assert {words: pair for words, pair in sizes.items() if pair[1] > pair[0] * 1.1} == {}
