"""Runs that end badly: killed at the same row each time, cut off from the database until the hard
limit, or judged dead while they live. Only what was in flight is sent once more, with an attempt on
record for each copy."""
from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest

from tests.queue.filling import BOTH, fill, owners, statuses
from tests.queue.test_rows import QUEUES
from tests.queue.test_rows import ROWS as OF_EACH
from tests.support.hooks import SECRET
from tests.support.product import ANSWERED, RETRY, SENT, UNCERTAIN, Lost, Response, Result, clock
from tests.support.shell import is_killed

TABLES = {job: table for job, (table, _) in QUEUES.items()}
TAKEN = Result(SENT, 250, "2.0.0", "taken")
ROWS, BAD, MOST = 6, 3, {"retry_forwards": 4, "send_notifications": 8, "retry_webhooks": 5}


@pytest.fixture
def queue(bench, request):
    """A bench with six due rows of three owners in the queue of this test's job; `heard(id)` is
    called with each that is sent, `sent` lists them, also those that a child has sent."""
    job, log = request.node.callspec.params["job"], bench.folder / "sent"
    bench.config(mail={"per_hour": "off", "per_minute": "off", "per_day": "off"})
    owners(bench, (1, 2, 3))
    bench.table("webhooks", [{"id": id, "user_id": id, "url": f"https://h{id}.example/",
                              "secret": SECRET} for id in (1, 2, 3)])
    bench.table(TABLES[job], [{
        **OF_EACH[TABLES[job]], "id": id, "user_id": 1 + id % 3, "created_at": bench.ago(hours=2),
        "next_attempt_at": bench.ago(minutes=id), **{
            "retry_forwards": {"alias_id": 1 + id % 3, "envelope_to": f"r{id}@home.example"},
            "send_notifications": {"to_email": f"r{id}@home.example"},
            "retry_webhooks": {"webhook_id": 1 + id % 3, "event_id": f"e{id}", "attempts": 1},
        }[job]} for id in range(1, ROWS + 1)])
    bench.heard = lambda _id: None

    def hear(id: int) -> None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{id}\n")
        bench.heard(id)

    def take_mail(envelope) -> Result:
        hear(int(envelope.recipient.partition("@")[0].strip("r")))
        return TAKEN

    def take_request(request) -> Response:
        hear(int(request.item_id.rpartition("-")[2]))
        return Response(ANSWERED, 204)
    bench.outbox.answer, bench.web.answer = take_mail, take_request
    bench.sent = lambda: Counter(map(int, log.read_text().split()))
    return bench


def uncertain(bench) -> Counter:
    """{row: attempts on record that ended with a run}"""
    return Counter(int(row["item_id"]) for row in bench.rows("attempts")
                   if row["outcome"] == "uncertain")


@pytest.mark.parametrize("job", [
    job if job == "retry_webhooks" else pytest.param(job, marks=pytest.mark.slow)
    for job in TABLES])
def test_a_row_that_kills_its_run_at_each_attempt_fails_in_the_end(queue, job):     # R22 R23
    def heard(id) -> None:
        if id == BAD:
            time.sleep(0.1)         # webhooks beside it end first
            os.kill(os.getpid(), signal.SIGKILL)

    queue.heard = heard
    table, kills = TABLES[job], 0
    for _ in range(60):
        kills += is_killed(lambda: queue.attempt(job)["status"] in ("ok", "partial"))
        row = next(row for row in queue.rows(table) if row["id"] == BAD)
        if row["status"] == "failed":
            break
        waits = row["status"] == "pending" and clock.parse(row["next_attempt_at"])
        queue.now = max(queue.ahead(minutes=6), waits or queue.now)
    others = {row["id"]: row["status"] for row in queue.rows(table)}
    assert others.pop(BAD) == "failed"
    assert {*others.values()} <= {"sent", "delivered"}
    sent, lost = queue.sent(), uncertain(queue)
    # several requests are on their way at once, and end with the run
    assert all(sent[id] - 1 <= lost[id] * (job == "retry_webhooks") for id in others)
    # each of its attempts twice, of which the app has made the first delivery
    most = MOST[job] - (job == "retry_webhooks")
    assert most <= sent[BAD] == kills <= 2 * most
    assert row["attempts"] == MOST[job]
    assert row["last_error"]
    assert lost[BAD] == kills


@pytest.mark.slow                   # it waits
@pytest.mark.parametrize("job", TABLES)
def test_a_result_that_is_not_stored_by_the_hard_limit_costs_one_copy(queue, job):  # R22 R70 R4
    lost: list = []
    queue.heard = lambda id: lost or lost.append(id)

    def away(_sql, _values) -> None:
        if lost:
            queue.clock.seconds += 1
            raise Lost("the server went away")
    queue.on_statement = away
    began = queue.clock.seconds
    queue.attempt(job)
    assert queue.result["status"] != "ok"
    assert queue.clock.seconds - began > 200            # of 240 and 30 seconds
    first = queue.sent()
    assert {*first.values()} == {1}
    queue.on_statement, queue.heard = None, lambda _id: None
    for _ in range(3):
        queue.now = queue.ahead(minutes=6)
        queue.run(job)
    assert all(row["status"] in ("sent", "delivered") for row in queue.rows(TABLES[job]))
    again = {id for id, number in queue.sent().items() if number == 2}
    assert {*lost} <= again <= {*first}
    assert max(queue.sent().values()) == 2
    assert {*uncertain(queue)} == again


@pytest.mark.parametrize("answer, other, status", [
    (SENT, None, "sent"), (SENT, "in flight", "sent"), (RETRY, "in flight", "sent"),
    (RETRY, None, "pending")])
@pytest.mark.parametrize("job", BOTH)
def test_a_run_judged_dead_stores_what_it_sent(bench, job, answer, other, status):     # R2 R22
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
    assert len(bench.column("attempts", "outcome")) == 1 + bool(other)
    assert bench.db.value(f"SELECT attempts FROM {{{TABLES[job]}}}") == 1


@pytest.mark.parametrize("job", BOTH)
def test_what_was_lost_is_sent_once_more_as_the_same_attempt(bench, job):     # R22 R26
    owners(bench, (1,))
    fill(bench, job, 1)
    bench.outbox.answer = lambda _: Result(UNCERTAIN, None, "", "lost after the dot")
    for minutes, attempts in ((0, 1), (4, 1), (6, 1)):
        bench.now = bench.ahead(minutes=minutes)
        bench.run(job)
        assert bench.db.value(f"SELECT attempts FROM {{{TABLES[job]}}}") == attempts
    assert bench.column("attempts", "outcome") == ["uncertain", "uncertain"]
    bench.now = bench.ahead(minutes=4)
    bench.run(job)
    assert len(bench.column("attempts", "outcome")) == 2     # lost again, it waits for its schedule
    bench.now = bench.ahead(days=1)
    bench.outbox.answer = None
    bench.run(job)
    assert bench.db.value(f"SELECT attempts FROM {{{TABLES[job]}}}") == 2
