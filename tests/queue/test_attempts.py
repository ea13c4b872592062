"""Every attempt on an item is recorded in the commit that settles it; one that a kill took with it
by the run that finds it."""
from __future__ import annotations

from datetime import timedelta

import pytest

from tests.queue.filling import FORWARDS, fill, owners
from tests.queue.test_rows import QUEUES, due
from tests.support.product import ANSWERED, FINAL, RELAY, RETRY, DatabaseError, Response, Result


@pytest.fixture
def owner(bench):
    """One owner with a forward, 1, that is due."""
    owners(bench, (1,))
    fill(bench, FORWARDS, 1)
    return bench


def recorded(bench, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in bench.rows("attempts")]


# {job: minutes from when a row is made until each attempt on it}: R24 R27 R41
SCHEDULES = {"retry_forwards": [60, 7 * 60, 31 * 60, 79 * 60],
             "send_notifications": [0, 5, 20, 80, 320, 1040, 2480, 5360],
             "retry_webhooks": [1, 6, 36, 156]}         # the app itself has made the first


@pytest.mark.parametrize("job", SCHEDULES)
def test_attempts_come_on_their_schedule_and_never_early(bench, job):
    table, start = QUEUES[job][0], bench.now
    due(bench, table, 1)
    bench.db.execute(f"UPDATE {{{table}}} SET created_at = :now", now=start)
    if job == "retry_webhooks":
        bench.db.execute("UPDATE {webhook_deliveries} SET attempts = 1, last_attempt_at = :now",
                         now=start)
    bench.outbox.answer = lambda _: Result(RETRY, 451, "4.7.1", "later")
    bench.web.answer = lambda _: Response(ANSWERED, 500)
    for number, minutes in enumerate(SCHEDULES[job], 1):
        for seconds, tried in ((-1, number - 1), (0, number)):
            bench.now = max(start, start + timedelta(minutes=minutes, seconds=seconds))
            if minutes or not seconds:
                bench.run(job)
            assert len(bench.rows("attempts")) == tried
    assert [row["status"] for row in bench.rows(table)] == ["failed"]


@pytest.mark.parametrize("result, outcome, code, answer", [
    (None, "sent", 250, "2.0.0 taken"),
    (Result(RETRY, 451, "4.7.1", "later, ann@home.example"), "retry", 451,
     "4.7.1 later, a***@home.example"),
    (Result(FINAL, 550, "5.1.1", "no\r\nsuch user"), "refused", 550, "5.1.1 no such user"),
    (Result(RELAY, None, "", "x" * 5000), "postponed", None, "x" * 512)])
def test_an_attempt_is_recorded_with_its_answer(owner, result, outcome, code, answer):     # R77
    if result:
        owner.outbox.answer = lambda envelope: result
    owner.attempt("retry_forwards")
    assert recorded(owner, "kind", "item_id", "user_id", "outcome", "code", "answer") == [
        ("forward", 1, 1, outcome, code, answer)]
    assert recorded(owner, "run_id", "began_at") == [
        (owner.result["run_id"], owner.now.strftime("%Y-%m-%d %H:%M:%S"))]


def test_what_cannot_be_put_on_record_is_not_sent(owner):     # R77
    def breaks(sql, values):
        if "INSERT INTO {attempts}" in sql:
            raise DatabaseError("the disk is full")
    owner.on_statement = breaks
    assert "the disk is full" in owner.fails("retry_forwards")
    owner.on_statement = None
    assert owner.rows("attempts") == []
    assert owner.db.value("SELECT status FROM {failed_emails}") == "pending"
    assert owner.outbox == []


def test_what_was_tried_is_known_even_when_the_row_is_gone(owner):      # R77
    for answer in (Result(RETRY, 452, "4.2.2", "full"), Result(FINAL, 550, "5.1.1", "no")):
        owner.outbox.answer = lambda envelope, answer=answer: answer
        owner.run("retry_forwards")
        owner.now += timedelta(hours=7)
    owner.db.execute("DELETE FROM {failed_emails}")
    assert owner.command("queue", "forwards", "1").startswith("forward 1: purged\n")
    gone = owner.json("queue", "forwards", "1")
    assert (gone["state"], [event["outcome"] for event in gone["events"]]) == (
        "purged", ["retry", "refused"])
