"""Whatever kills a run, its connection or the database's server: nothing is lost, and only what was
in flight arrives once more, with an attempt on record for each copy. Real servers count what
arrives by its id."""
from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections import Counter

import pytest

from tests.queue.test_rows import QUEUES
from tests.servers import misbehaving, web
from tests.servers.mariadb import ENCODED, USER, MariaDB
from tests.servers.proxy import CutProxy
from tests.support.hooks import fill
from tests.support.product import connect
from tests.support.shell import Shell, at_sql

TABLES = {job: table for job, (table, _) in QUEUES.items()}
WEBHOOKS = "retry_webhooks"
STRUCK = 2                          # the message during which something happens
# of each kill: 20 with JOBS_TEST_REPEATS=20
REPEATS = range(int(os.environ.get("JOBS_TEST_REPEATS", "1")))
LOST = range(4)                     # commits after it: its own result, the next begin and result
ROWS = {WEBHOOKS: 20}               # the others have five: one is on its way at a time
TOGETHER = 8                        # requests

# just before such a statement
STATEMENTS = {"begin": "SET status = 'sending'", "record": "INSERT INTO {attempts}",
              "settle": "UPDATE {attempts} SET outcome",
              "finish": "SET status = :status, finished_at = :finished_at, duration_ms"}
PHASES = ("MAIL", "RCPT", "DATA", "dot")        # before its answer, on the wire


class Relay(misbehaving.Relay):
    """Counts what it takes; calls `strike` with the number of each message at a phase, before it
    answers."""

    def __init__(self, strike, phase: str) -> None:
        super().__init__(("8BITMIME",))
        self.strike, self.phase, self.met = strike, phase, 0

    def answer(self, phase: str):
        if phase == self.phase:
            self.met += 1
            self.strike(self.met)
        return super().answer(phase)

    def count(self) -> Counter:
        """How often each message was taken."""
        return Counter(next(line for line in content.split(b"\r\n")
                            if line.startswith(b"Message-ID"))
                       for _, _, content in list(self.accepted))


class Web(web.Web):
    """The same of requests."""

    def __init__(self, strike, _phase: str) -> None:
        super().__init__(self._answer, host="")
        self.strike, self.numbers = strike, itertools.count(1)

    def _answer(self, connection, _heard) -> None:
        self.strike(next(self.numbers))
        time.sleep(0.02)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def count(self) -> Counter:
        """How often each event arrived."""
        return Counter(heard.headers["webhook-id"] for heard in list(self.requests))


class Sent:
    """One job, its rows, and the server that takes what it sends: `strike(number)` is called for
    each message."""

    def __init__(self, service: Shell, job: str, strike, phase: str = "dot") -> None:
        self.service, self.job, self.table = service, job, TABLES[job]
        self.server = (Web if job == WEBHOOKS else Relay)(strike, phase)

    def __enter__(self) -> Sent:
        self.server.__enter__()
        self.service.configure("mail", port=self.server.port)
        self.service.configure("webhooks", allow_networks="127.0.0.0/8")
        return self

    def __exit__(self, *_) -> None:
        self.server.__exit__()

    def fill(self, number: int = 5) -> Sent:
        """So many rows that are due."""
        if self.job == WEBHOOKS:
            fill(self.service, self.server.port, number, 1)
        else:
            of_mail = {"retry_forwards": self.service.forwards,
                       "send_notifications": self.service.notices}
            of_mail[self.job](number)
        return self

    def judge(self, lost: int = 0) -> None:
        """All of them are stored as sent, by one attempt of each, and one more of each that was
        lost; nothing is held."""
        db = self.service.db
        rows = db.query(f"SELECT * FROM {{{self.table}}}")
        outcomes = Counter(row["outcome"] for row in db.query("SELECT outcome FROM {attempts}"))
        assert {row["status"] for row in rows} <= {"sent", "delivered"}
        # Python 3.9 tells a count of 0 from none
        assert outcomes == +Counter(sent=len(rows), uncertain=lost)
        # of a delivery the app has made the first
        assert {row["attempts"] for row in rows} == {2 if self.job == WEBHOOKS else 1}
        assert {row["claim_run"] for row in rows} == {None}


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("job, point", [(job, point) for job in TABLES for point in (
    *STATEMENTS, *(PHASES if job != WEBHOOKS else ("answer",)))])
def test_a_kill_repeats_at_most_what_is_in_flight(service, job, point):     # R2 R22
    number, lost, running = ROWS.get(job, 5), 0, []
    for turn in REPEATS:
        struck = 1 + (turn + 1) % number if point != "finish" else 1
        kill = at_sql(STATEMENTS[point], struck) if point in STATEMENTS else None

        def strike(met: int, struck=struck, kill=kill) -> None:
            if met == struck and not kill:
                running[-1].kill()
        with Sent(service, job, strike, point).fill(number) as sent:
            running.append(service.start(job, kill=kill))
            running[-1].communicate(timeout=60)
            assert running[-1].returncode == -signal.SIGKILL
            sending = service.statuses(sent.table).get("sending", 0)
            if job == WEBHOOKS:
                assert (point in ("settle", "answer")) <= sending <= TOGETHER * (point != "finish")
            else:
                assert sending == (point not in ("begin", "record", "finish"))
            lost += sending
            assert service.job(job)["counts"].get("uncertain", 0) == sending
            # as if five minutes had passed
            service.db.execute(f"UPDATE {{{sent.table}}} SET next_attempt_at = created_at "
                               "WHERE status = 'pending'")
            service.run(job)
            sent.judge(lost)
            counted = sent.server.count()
        assert len(counted) == number                       # each arrived
        copies = sum(counted.values()) - number
        # only a message that was taken comes twice
        assert copies <= sending if job == WEBHOOKS else copies == (point in ("settle", "dot"))
    assert service.outcomes().count("vanished") == len(REPEATS)


def test_each_result_is_stored_before_the_next_content_is_sent(service):     # R22
    """When the relay has taken a content, at most its own row has begun and no other has no
    result."""
    seen = []

    def look(_number: int) -> None:
        db = connect(service.url)                           # this thread's own
        seen.append([(row["status"], row["attempts"]) for row in db.query(
            "SELECT status, attempts FROM {failed_emails} ORDER BY id")])
        db.close()
    with Sent(service, "retry_forwards", look).fill(3) as sent:
        service.run("retry_forwards")
        assert sent.server.commands() == ["ehlo", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]
    done, sending, pending = ("sent", 1), ("sending", 1), ("pending", 0)
    assert seen == [[sending, pending, pending], [done, sending, pending], [done, done, sending]]


@pytest.fixture(scope="module")
def server():
    """A server that these tests may kill, and that has by then written what it has committed."""
    with MariaDB("--innodb-flush-log-at-trx-commit=2") as made:
        yield made


def all_arrived_once(sent: Sent) -> None:
    assert [*sent.server.count().values()] == [1] * 5
    sent.judge()


@pytest.mark.slow
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("number", LOST)
@pytest.mark.parametrize("job", TABLES)
def test_a_commit_whose_answer_is_lost_repeats_nothing(tmp_path, server, job, number, before):
    # R22 R70: `before`, the server never got it
    with CutProxy(server.port, b"", before) as proxy:
        name = server.database().partition("?")[0].rpartition("/")[2]
        service = Shell(tmp_path, f"mysql://{USER}:{ENCODED}@127.0.0.1:{proxy.port}/{name}")

        def strike(met: int) -> None:
            if met == STRUCK:
                proxy.once(b"\x03COMMIT", number)
        with Sent(service, job, strike).fill() as sent:
            for _ in range(2):          # what was not begun is left to the next run
                assert service(job).code == 0
            assert proxy.cuts == 1
            all_arrived_once(sent)
        service.close()


@pytest.mark.slow
@pytest.mark.parametrize("job", TABLES)
def test_a_server_killed_before_a_result_repeats_nothing(tmp_path, server, job):     # R22 R70
    service, killed = Shell(tmp_path, server.database()), threading.Event()

    def strike(met: int) -> None:
        if met == STRUCK:
            server.stop(signal.SIGKILL)
            killed.set()
    with Sent(service, job, strike).fill() as sent:
        process = service.start(job)
        assert killed.wait(60)
        server.start()
        out, err = process.communicate(timeout=120)
        # it may have had something to ask while the server was away
        assert process.returncode in (0, 1), out + err
        service.run(job)
        all_arrived_once(sent)
    service.close()
