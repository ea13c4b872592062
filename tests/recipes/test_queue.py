"""The engine of the queues: what was handed over is stored, whatever the database does meanwhile."""
from __future__ import annotations

import sqlite3
import threading
import time
from datetime import timedelta

import pytest

from jobs_lib.errors import DatabaseError
from jobs_lib.ports.mail import SENT, Result
from tests.jobs.test_retry_forwards_kill import Counting
from tests.servers.mariadb import MariaDB
from tests.support.require import program
from tests.support.service import Service


def forwards(bench, number: int) -> None:
    """Forwards that are due, with all that they need."""
    bench.table("users", [{"id": 1}])
    bench.table("aliases", [{"id": 1, "user_id": 1}])
    for id in range(1, number + 1):
        bench.spool(f"{id}.eml")
        bench.table("failed_emails", [{"id": id, "user_id": 1, "alias_id": 1, "raw_path": f"{id}.eml",
                                       "created_at": bench.ago(hours=1)}])


# What was handed over is stored

def test_a_message_that_was_taken_is_stored_although_another_writer_holds_the_file(bench):     # R70
    if bench.db.dialect.name != "sqlite":
        return                              # there writers do not wait for each other
    forwards(bench, 2)
    bench.timeout = 0.1
    holders = []

    def hold(taken: threading.Event) -> None:
        other = sqlite3.connect(bench.folder / "jobs.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        taken.set()
        time.sleep(1.5)                     # many times as long as one wait for the lock
        other.close()

    def take(envelope) -> Result:
        if not holders:
            taken = threading.Event()
            holders.append(threading.Thread(target=hold, args=(taken,)))
            holders[0].start()
            assert taken.wait(10)
        return Result(SENT, 250, "2.0.0", "taken")
    bench.outbox.answer = take
    bench.attempt("retry_forwards")
    holders[0].join()
    assert bench.rows("failed_emails")[0]["status"] == "sent"
    bench.run("retry_forwards")
    assert len(bench.outbox) == 2


def test_the_hard_limit_ends_the_waiting(bench):     # R70 R4
    forwards(bench, 1)
    tries = []

    def away(sql, values):
        if "last_code = :last_code" in sql:
            tries.append(bench.clock.seconds)
            raise DatabaseError("the disk is full")
    bench.on_statement = away
    began = bench.clock.seconds
    bench.attempt("retry_forwards")
    assert 200 < tries[-1] - began < 270            # of 240 and 30 seconds
    bench.on_statement = None
    bench.now += timedelta(minutes=5)
    assert bench.run("retry_forwards")["uncertain"] == 1


@pytest.mark.slow
def test_a_message_that_was_taken_is_stored_although_the_server_restarts(tmp_path):     # R70
    program("mariadbd", "mariadb-server")
    with MariaDB() as server:
        service = Service(tmp_path, server.database())
        service.forwards(3)
        stopped = threading.Event()

        def stop() -> None:
            server.stop()
            stopped.set()
        with Counting(stop, "dot", 1) as relay:
            service.configure("mail", port=relay.port)
            process = service.start("retry_forwards")
            assert stopped.wait(60)
            time.sleep(2)
            server.start()
            process.communicate(timeout=60)
            assert service.statuses() == {"sent": 1, "pending": 2}
            service.run("retry_forwards")
            assert sorted(relay.count().values()) == [1, 1, 1]
