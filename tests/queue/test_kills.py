"""Whatever kills a run or its connection: nothing is lost, and only what was in flight is sent once
more, with an attempt on record for each copy."""
from __future__ import annotations

import signal
from collections import Counter
from datetime import timedelta

import pytest

from tests.jobs.test_retry_forwards_kill import Counting
from tests.queue.filling import BOTH, FORWARDS, NOTICES, TABLE, fill, owners, sent, statuses
from tests.support.product import RETRY, SENT, UNCERTAIN, Database, Lost, Result, clock
from tests.support.shell import Shell

TAKEN = Result(SENT, 250, "", "taken")
both = pytest.mark.parametrize("job", BOTH)


def outcomes(db) -> list[str]:
    """Of all attempts, in order."""
    return [row["outcome"] for row in db.query("SELECT outcome FROM {attempts} ORDER BY id")]


class Poisoned(Counting):
    """A relay that kills the run that sends it the poison, once it has it."""

    def answer(self, phase: str):
        """As the real one, if somebody still waits for it."""
        if phase == "dot" and b"poison" in bytes(self.received[-1]).rpartition(b"RCPT TO")[2]:
            self.strike()
        return super().answer(phase)


@pytest.mark.slow
def test_a_row_that_kills_its_run_each_time_ends_and_delays_nobody(tmp_path, engine_url):
    # R2 R22 R66
    service, running, now = Shell(tmp_path, engine_url), [], clock.now()
    service.configure("core", max_clock_jump="off")     # the server has no clock of ours
    service.forwards(6)
    service.db.execute("UPDATE {failed_emails} SET envelope_to = 'poison@home.example' "
                       "WHERE id = 2")
    with Poisoned(lambda: running[-1].kill()) as relay:
        service.configure("mail", port=relay.port)
        while service.db.query("SELECT id FROM {failed_emails} WHERE id = 2 "
                               "AND status IN ('pending', 'sending')"):
            running.append(service.start(FORWARDS, now=clock.text(now)))
            running[-1].communicate(timeout=60)
            now += timedelta(hours=4)
            assert len(running) < 40
            if len(running) == 3:
                assert service.statuses()["sent"] == 5
        counted = relay.count()
    killed = [process.returncode for process in running].count(-signal.SIGKILL)
    # four attempts, each of them twice
    assert (killed, sorted(counted.values())) == (8, [1, 1, 1, 1, 1, 8])
    ended = service.db.row("SELECT status, attempts, last_error FROM {failed_emails} WHERE id = 2")
    assert tuple(ended.values()) == ("failed", 4, "the run was killed in the middle of it")
    assert Counter(outcomes(service.db)) == {"sent": 5, "uncertain": 8}


@pytest.mark.parametrize("answer, other, status", [
    (SENT, None, "sent"), (SENT, "in flight", "sent"), (RETRY, "in flight", "sent"),
    (RETRY, None, "pending")])
@both
def test_a_run_that_was_judged_dead_stores_what_it_has_sent(bench, job, answer, other, status):
    # R2 R22
    owners(bench, (1,))
    fill(bench, job, 1)
    host = bench.second_host()

    def take_over(_):
        bench.outbox.answer = lambda _: TAKEN
        host.now = bench.ahead(hours=2)
        host.run(job)                           # finds what the frozen run was sending
        assert host.result["counts"]["uncertain"] == 1
        if other:
            host.now = bench.ahead(hours=2, minutes=6)
            host.run(job)
        return Result(answer, 250 if answer == SENT else 451, "", "")
    bench.outbox.answer = take_over
    bench.run(job)
    assert statuses(bench, job) == {status: 1}
    assert len(bench.outbox) == (answer == SENT) + bool(other)
    assert len(outcomes(bench.db)) == 1 + bool(other)
    assert bench.db.value(f"SELECT attempts FROM {{{TABLE[job]}}}") == 1


def lose(monkeypatch, bench, number: int, stored: bool) -> None:
    """The connection goes at the commit of that number after the first message was taken: once it
    is stored, or before."""
    run, left = Database._run, [number]

    def _run(self, sql, values, *args, **named):
        is_meant = sql == "COMMIT" and bench.outbox
        left[0] -= bool(is_meant)
        if not is_meant or left[0]:
            return run(self, sql, values, *args, **named)
        if stored:
            run(self, sql, values, *args, **named)
        self._drop()
        raise Lost("the connection to the database server was lost")
    monkeypatch.setattr(Database, "_run", _run)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("stored", [False, True])
@both
def test_a_commit_whose_answer_is_lost_repeats_nothing(monkeypatch, bench, job, stored, number):
    # R2 R22 R70
    owners(bench, (1, 2))
    bench.config(mail={"per_hour": "100", "per_day": "500"})
    for owner in (1, 2):
        fill(bench, job, owner, 3)
    lose(monkeypatch, bench, number, stored)
    assert bench.run(job)["sent"] == 6
    assert sent(bench) == {"u1": 3, "u2": 3}
    assert outcomes(bench.db) == ["sent"] * 6
    rows = bench.db.query(f"SELECT status, attempts, claim_run FROM {{{TABLE[job]}}}")
    assert [tuple(row.values()) for row in rows] == [("sent", 1, None)] * 6


@both
def test_what_was_lost_is_sent_once_more_as_the_same_attempt(bench, job):     # R22 R26
    owners(bench, (1,))
    fill(bench, job, 1)
    bench.outbox.answer = lambda _: Result(UNCERTAIN, None, "", "lost after the dot")
    for minutes, attempts in ((0, 1), (4, 1), (6, 1)):
        bench.now = bench.ahead(minutes=minutes)
        bench.run(job)
        assert bench.db.value(f"SELECT attempts FROM {{{TABLE[job]}}}") == attempts
    assert outcomes(bench.db) == ["uncertain", "uncertain"]
    bench.now = bench.ahead(minutes=4)
    bench.run(job)
    assert len(outcomes(bench.db)) == 2         # lost again, it waits for its schedule
    bench.now = bench.ahead(days=1)
    bench.outbox.answer = None
    bench.run(job)
    assert bench.db.value(f"SELECT attempts FROM {{{TABLE[job]}}}") == 2


def test_the_same_bytes_are_sent_again(bench):     # R22 R26
    owners(bench, (1,))
    fill(bench, NOTICES, 1)
    copies = []

    def lost(_):
        bench.outbox.answer = None
        copies.append(bench.rows("notifications")[0]["first_attempt_at"])
        return Result(UNCERTAIN, None, "", "lost after the dot")
    bench.outbox.answer = lost
    bench.run(NOTICES)
    bench.now = bench.ahead(minutes=6)
    bench.run(NOTICES)
    mail, = bench.outbox
    assert clock.parse(copies[0]).strftime("%H:%M:%S") in str(mail.raw)
