"""Ten times the rows take the same memory.  # R18

The days are ten times as many. The rows of one day SQLite sorts within 2 MB, and then in a
temporary file.
"""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.jobs.test_purge_message_logs_memory import peak
from tests.support.databases import bulk
from tests.support.shell import Shell

pytestmark = pytest.mark.slow
USERS = 100


def service(folder, factor: int) -> Shell:
    """Ten days or more, of which none was seen; wide ones, so that those of the small one fill the
    caches."""
    folder.mkdir()
    made, now = Shell(folder, f"sqlite:///{folder}/jobs.db"), clock.now()
    bulk(made.db, "users", ["id", "email", "created_at"], [(id, f"u{id}@home.example", now)
                                                           for id in range(1, USERS + 1)])
    bulk(made.db, "message_logs", ["id", "user_id", "direction", "status", "created_at"],
         [(id, id, "send" * 16, "spam" * 16, now) for id in range(1, USERS + 1)])
    made.db.insert("rollup_state", id=1, noted_at=now)
    with made.db.transaction():
        for number in range(1, 8 * 10 * factor):
            made.db.execute("INSERT INTO {message_logs} (user_id, direction, status, created_at) "
                            "SELECT user_id,"
                            " direction, status, :when FROM {message_logs} WHERE id <= :users",
                            users=USERS, when=now - timedelta(days=number // 8))
    return made


def test_ten_times_as_much_in_the_same_memory(tmp_path):       # R18
    sizes: dict = {}
    for factor in (1, 10):
        made = service(tmp_path / str(factor), factor)
        for words in (("rollup_usage", "--dry-run"), ("rollup_usage",),
                      ("rollup_usage", "--yes", "--set", "keep=7d")):
            sizes.setdefault(words, []).append(peak(made, *words))
        assert made.db.value("SELECT MAX(email_count) FROM {usage_daily}") == 8
        made.db.close()
    assert {words: pair for words, pair in sizes.items() if pair[1] > pair[0] * 1.1} == {}
