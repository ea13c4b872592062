"""Whatever happens to a service, in whatever order, its usage is what log rows and kept totals add
up to.

JOBS_TEST_HISTORIES=1000 tries so many random histories on each engine; a failure tells the seed,
and JOBS_TEST_SEED=N tries that one first.
"""
from __future__ import annotations

import contextlib
import os
import random
import threading
from datetime import timedelta

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.features.usage import rollup
from tests.jobs.test_rollup_usage import JOB, LOG, PURGE, by_week, daily, detail, log, weekly
from tests.support.databases import bulk, empty
from tests.support.engines import on_mariadb

HISTORIES = int(os.environ.get("JOBS_TEST_HISTORIES", "15"))
FIRST = int(os.environ.get("JOBS_TEST_SEED", "0"))
USERS = 4
NO_SIZES = (2 ** 63 - 1, 2 ** 40 + 1, -1, -2 ** 63)         # of a message


class Death(BaseException):
    """In place of SIGKILL (tests/every_job/test_kill_between_commits.py)."""


class History:
    """A service whose rows come in on time and late, are purged and changed, whose accounts go,
    whose runs die."""

    def __init__(self, bench, seed: int) -> None:
        self.bench, self.db, self.chance, self.seed = bench, bench.db, random.Random(seed), seed
        self.done: list[str] = []

    def play(self) -> None:
        """A dozen steps, and after each run of the job that was not cut short the numbers agree."""
        empty(self.db)
        for id in range(1, USERS + 1):
            self.db.insert("users", id=id, email=f"u{id}@home.example",
                           log_retention_days=self.chance.choice((None, None, 3, 20)))
        for _ in range(12):
            step = self.chance.choice((self.rows, self.rows, self.late, self.time, self.purge,
                                       self.purge, self.killed, self.roll_up, self.rebuild,
                                       self.leave, self.change))
            self.done.append(step.__name__)
            step()
        self.roll_up()

    def rows(self, most: int = 0) -> None:
        bulk(self.db, "message_logs", LOG, [
            (self.chance.randint(1, USERS), self.chance.choice(("forward", "reply", "send")),
             self.chance.choice(("delivered", "spam", "held")), self._size(),
             self.bench.ago(seconds=self.chance.randint(0, most or 86_400)))
            for _ in range(self.chance.randint(1, 40))])

    def _size(self) -> int:
        if self.chance.random() < 0.1:
            return self.chance.choice(NO_SIZES)
        return self.chance.randint(0, 2 ** 40)

    def late(self) -> None:
        self.rows(120 * 86_400)

    def time(self) -> None:
        """It passes."""
        self.bench.now += timedelta(hours=self.chance.choice((1, 12, 30, 200)))

    def purge(self) -> None:
        self.bench.attempt(PURGE, keep=self.chance.choice(("1d", "10d", "90d")), yes=True,
                           limit=self.chance.choice((None, 10)))

    def killed(self) -> None:
        """A run of either job ends at a statement of its own choice, between two of them or at a
        COMMIT."""
        left, job = [self.chance.randint(1, 60)], self.chance.choice((JOB, JOB, PURGE))

        def strike(sql, _):
            if not sql.startswith("ROLLBACK"):
                left[0] -= 1
            if left[0] == 0:
                raise Death
        self.bench.on_statement = strike
        with contextlib.suppress(Death):
            self.bench.attempt(job, **({"keep": "10d", "yes": True} if job == PURGE else {}))
        self.bench.on_statement = None

    def rebuild(self) -> None:
        since = (self.bench.now - timedelta(days=self.chance.randint(0, 150))).date()
        self.bench.run(JOB, **{"from": since.isoformat()})
        self.check()

    def leave(self) -> None:
        """An account is deleted, or only marked."""
        id = self.chance.randint(1, USERS)
        self.db.execute("UPDATE {users} SET status = 'deleted' WHERE id = :id", id=id)
        for table in ("usage_daily", "usage_weekly", "message_logs", "message_stats"):
            self.db.execute(f"DELETE FROM {{{table}}} WHERE user_id = :id", id=id)
        if self.chance.random() < 0.5:
            self.db.execute("DELETE FROM {users} WHERE id = :id", id=id)

    def change(self) -> None:
        """What the app does to a young row is seen by the next run."""
        row = self.db.row("SELECT id, created_at FROM {message_logs} WHERE created_at >= :since "
                          "ORDER BY id LIMIT 1", since=self.bench.ago(hours=47))
        if row:
            self.db.execute(self.chance.choice((
                "DELETE FROM {message_logs} WHERE id = :id",
                "UPDATE {message_logs} SET bytes_used = 77 WHERE id = :id")), id=row["id"])
            self.bench.run(JOB)
            self.check()

    def roll_up(self) -> None:
        while (self.bench.run(JOB, limit=self.chance.choice((None, 5)))
               and self.bench.result["status"] == "partial"):
            pass
        self.check()

    def check(self) -> None:
        """To the byte."""
        days = daily(self.db)
        assert days == detail(self.db), f"seed {self.seed}: {self.done}"
        assert weekly(self.db) == by_week(days), f"seed {self.seed}: {self.done}"


@pytest.mark.slow
def test_random_histories(bench):       # R12 R58
    for seed in range(FIRST, FIRST + HISTORIES):
        History(bench, seed).play()
        bench.now = bench.now.replace(year=2026, month=11, day=24)


# Beside a purge

@on_mariadb          # nobody else can write meanwhile
def test_a_day_is_read_at_one_moment_also_if_a_purge_ends_in_the_middle_of_it(bench):      # R58
    """The rollup's own statement has read one table, and waits there for the purge, before it reads
    the other."""
    day, other = bench.ago(days=2).date().isoformat(), connect(bench.url)
    bench.table("users", [{"id": 1}])
    bench.table("message_stats", [{"user_id": 1, "day": day, "direction": "send", "status": "spam",
                                   "email_count": 6, "bytes_used": 6}])
    bench.table("message_logs", [log(bench.ago(days=2))])
    bench.table("rollup_days", [{"day": day}])
    bench.db.execute("CREATE VIEW held_stats AS SELECT * FROM message_stats WHERE"
                     " GET_LOCK(CONCAT('held', bytes_used * 0), 60) >= 0")
    other.name.mapped["message_stats"] = "held_stats"
    bench.db.value("SELECT GET_LOCK('held0', 0)")
    reader = threading.Thread(target=lambda: other.batch(lambda: rollup._add_up(other, day)),
                              daemon=True)
    reader.start()
    while not bench.db.value("SELECT COUNT(*) FROM information_schema.processlist "
                             "WHERE state = 'User lock'"):
        assert reader.is_alive()
    assert bench.run(PURGE, keep="1d") == {"deleted": 1}
    assert reader.is_alive()
    bench.db.value("SELECT RELEASE_LOCK('held0')")
    reader.join(20)
    other.close()
    assert bench.rows("message_logs") == []
    assert daily(bench.db) == [(1, day, 7, 16)]
