"""What a run does while its database is busy with others: it waits, takes smaller batches, stops
and says why; a batch that has to give way is tried again in halves."""
from __future__ import annotations

import re
import threading
import time
from contextlib import closing, contextmanager, suppress

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.database.dialects import mysql
from jobs_lib.engines.load import MAX_RUNNING
from jobs_lib.errors import Conflict
from tests.engines.test_purge import LOGS, logs
from tests.support.databases import bulk
from tests.support.engines import on_mariadb, on_sqlite

LOOK = "SHOW GLOBAL STATUS"
ROWS = 3_000


class App:
    """Other connections, each with a statement that runs until `end`."""

    def __init__(self, url: str, threads: int) -> None:
        self.url, self.connections = url, [connect(url) for _ in range(threads)]
        self.ids = [db.value("SELECT CONNECTION_ID()") for db in self.connections]
        self.threads = [threading.Thread(target=self._work, args=(db,), daemon=True)
                        for db in self.connections]
        for thread in self.threads:
            thread.start()
        with closing(connect(url)) as db:
            self._wait_for(db, threads)

    def _work(self, db) -> None:
        with closing(db), suppress(Conflict):       # MariaDB's answer to KILL QUERY
            db.value("SELECT SLEEP(60)")

    def _wait_for(self, db, number: int) -> None:
        until = time.monotonic() + 20
        while db.value("SELECT COUNT(*) FROM information_schema.processlist WHERE id IN (:ids)"
                       " AND info LIKE 'SELECT SLEEP%'", ids=self.ids) != number:
            assert time.monotonic() < until
            time.sleep(0.01)

    def end(self) -> None:
        """All of them at once; the server says so from then on."""
        with closing(connect(self.url)) as db:
            for each, thread in zip(self.ids, self.threads):
                if thread.is_alive():
                    db.execute(f"KILL QUERY {each}")
            self._wait_for(db, 0)
        for thread in self.threads:
            thread.join(20)


@contextmanager
def busy_app(url: str):
    """The app at work, with more statements at once than a purge goes on beside."""
    app = App(url, MAX_RUNNING + 2)
    try:
        yield app
    finally:
        app.end()


def looks(bench) -> int:
    """How often the last run has looked at the load."""
    return sum(sql.startswith(LOOK) for sql in bench.statements)


def slow_batches(bench, seconds: float = 0.6) -> list[int]:
    """From now on a batch takes this long; the widths of the ranges, as they come."""
    widths: list[int] = []

    def hear(sql, values) -> None:
        if sql.startswith("DELETE"):
            bench.clock.seconds += seconds
            widths.append(len(values["ids"]) if "ids" in values
                          else values["high"] - values["low"] + 1)
    bench.on_statement = hear
    return widths


# Looking

@on_mariadb
def test_a_run_of_less_than_a_second_does_not_look(bench):                         # R16
    logs(bench, dict.fromkeys(range(1, ROWS + 1), 91))
    with busy_app(bench.url):
        assert bench.run(LOGS) == {"deleted": ROWS}
    assert looks(bench) == 0


@on_mariadb
@pytest.mark.parametrize("answer", ["SELECT 99 AS threads", "SELECT 'many' AS Value",
                                    "SELECT 99 AS Value WHERE 1 = 0"])
def test_a_proxy_that_answers_something_else_stops_nothing(bench, monkeypatch, answer):    # R16
    monkeypatch.setattr(mysql, "threads_running", answer)
    logs(bench, dict.fromkeys(range(1, ROWS + 1), 91))
    slow_batches(bench)
    assert bench.run(LOGS) == {"deleted": ROWS}
    assert answer in bench.statements


# Waiting and stopping

@on_mariadb
def test_a_purge_waits_until_the_load_is_gone_and_goes_on_in_halves(bench):        # R16
    logs(bench, dict.fromkeys(range(1, ROWS + 1), 91))
    widths, seen = slow_batches(bench, 1.2), []
    slow = bench.on_statement
    with busy_app(bench.url) as app:
        def hear(sql, values) -> None:
            slow(sql, values)
            if sql.startswith(LOOK):
                seen.append(len(widths))
                if len(seen) == 4:
                    app.end()
        bench.on_statement = hear
        begin = bench.clock.seconds
        assert bench.run(LOGS) == {"deleted": ROWS}
    assert bench.result["status"] == "ok"
    # three looks a second apart, all before the second batch, and one that finds it gone
    assert seen[:4] == [1, 1, 1, 1]
    assert bench.clock.seconds - begin >= 3
    # half for the slow batch, and half of that for the load
    assert widths[1] == 250


@on_mariadb
def test_it_stops_as_busy_and_says_why_when_the_load_stays(bench):                 # R16
    logs(bench, dict.fromkeys(range(1, ROWS + 1), 91))
    slow_batches(bench, 1.2)
    begin = bench.clock.seconds
    with busy_app(bench.url):
        deleted = bench.run(LOGS)["deleted"]
        # a tenth of its minutes
        assert bench.clock.seconds - begin == pytest.approx(24, abs=3)
    assert (bench.result["status"], bench.result["stop_reason"]) == ("partial", "busy")
    assert re.fullmatch(r"\d+ threads were running in the database, the limit is 25, and a wait of "
                        r"\d+ s did not help", bench.result["error"])
    assert bench.db.value("SELECT error FROM {job_runs}") == bench.result["error"]
    assert deleted == 1000
    assert bench.run(LOGS)["deleted"] == ROWS - deleted


# Giving way

@contextmanager
def locked(bench, id: int):
    """The app has changed a log row in an open transaction; yields what ends that."""
    bench.timeout = 1.0
    with closing(connect(bench.url)) as other:
        other.execute("BEGIN")
        other.execute("UPDATE {message_logs} SET bytes_used = 7 WHERE id = :id", id=id)
        yield lambda: other.execute("ROLLBACK")


@on_mariadb
@pytest.mark.slow
@pytest.mark.parametrize("tries", [2, 5])
def test_a_batch_that_meets_a_lock_is_tried_again_in_halves(bench, tries):         # R16
    logs(bench, dict.fromkeys(range(1, ROWS + 1), 91))
    widths: list[int] = []
    with locked(bench, 1500) as let_go:
        def hear(sql, values) -> None:
            if sql.startswith("DELETE"):
                widths.append(values["high"] - values["low"] + 1)
                if len(widths) == tries + 2:
                    let_go()
        bench.on_statement = hear
        assert bench.run(LOGS) == {"deleted": ROWS}
    assert bench.result["status"] == "ok"
    # the second batch meets it: what is before it goes, in halves
    assert widths[1] == 2000
    assert widths[2] == 1000
    assert min(widths) < 500 or tries == 2


@on_mariadb
@pytest.mark.slow
def test_the_deletion_of_an_account_is_tried_again_in_halves(bench):               # R16
    user = bench.table("users", [{"status": "deleted", "deleted_at": bench.ago(days=30)}])[0]
    bulk(bench.db, "message_logs", ["id", "user_id", "direction", "status", "created_at"],
         [(id, user, "forward", "delivered", bench.ago(days=1, seconds=id))
          for id in range(1, ROWS + 1)])
    widths: list[int] = []
    tries: list[int] = []
    with locked(bench, 1500) as let_go:
        def hear(sql, values) -> None:
            if "FROM {message_logs}" in sql and "OFFSET :skipped" in sql:
                widths.append(values["skipped"] + 1)
            if sql.startswith("DELETE FROM {message_logs}"):
                tries.append(widths[-1])
                if len(tries) == 5:
                    let_go()
        bench.on_statement = hear
        assert bench.run("delete_accounts")["erased"] == 1
    # by the fourth: the fifth meets the lock no more
    assert any(after == before // 2 for before, after in zip(tries, tries[1:4]))
    assert (bench.result["status"], bench.ids("message_logs")) == ("ok", [])


@on_mariadb
def test_the_deletion_of_an_account_waits_for_the_load_and_closing_it_does_not(bench):   # R16
    for days in (30, 1):
        user = bench.table("users", [{"status": "deleted", "deleted_at": bench.ago(days=days)}])[0]
        bulk(bench.db, "message_logs", ["user_id", "direction", "status", "created_at"],
             [(user, "forward", "delivered", bench.ago(days=1))] * ROWS)
        bench.table("sessions", [{"user_id": user, "expires_at": bench.ahead(days=1)}])
    signed_in: list[int] = []

    def hear(sql, _values) -> None:
        if sql.startswith("DELETE"):
            bench.clock.seconds += 1.2
        if sql.startswith(LOOK):
            signed_in.append(len(bench.ids("sessions")))
    bench.on_statement = hear
    with busy_app(bench.url):
        bench.run("delete_accounts")
    assert (bench.result["status"], bench.result["stop_reason"]) == ("partial", "busy")
    assert "the limit is 25" in bench.result["error"]
    assert "s did not help" in bench.result["error"]
    assert bench.result["counts"]["revoked"] == 2
    assert (signed_in[0], len(signed_in) > 5) == (0, True)
    assert bench.run("delete_accounts")["erased"] == 1


@on_sqlite
def test_on_sqlite_what_a_batch_waits_for_another_writer_makes_it_smaller(bench):  # R16
    logs(bench, dict.fromkeys(range(1, ROWS + 1), 91))
    widths = slow_batches(bench, 0)
    count = bench.on_statement

    def hear(sql, values) -> None:
        count(sql, values)
        if sql == "BEGIN IMMEDIATE":
            bench.clock.seconds += 0.4
    bench.on_statement = hear
    begin = bench.clock.seconds
    assert bench.run(LOGS) == {"deleted": ROWS}
    assert widths[:5] == [1000, 500, 250, 125, 100]
    # and others get as long as that to write
    assert bench.clock.seconds - begin >= 2 * 0.4 * (len(widths) - 1)
