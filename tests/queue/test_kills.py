"""Whatever kills a run or its connection: nothing is lost, and only what was in flight is sent once
more, with an attempt on record for each copy."""
from __future__ import annotations

import pytest

from tests.queue.filling import BOTH, TABLE, fill, owners, statuses
from tests.support.product import RETRY, SENT, UNCERTAIN, Result

TAKEN = Result(SENT, 250, "", "taken")
both = pytest.mark.parametrize("job", BOTH)


def outcomes(db) -> list[str]:
    """Of all attempts, in order."""
    return [row["outcome"] for row in db.query("SELECT outcome FROM {attempts} ORDER BY id")]


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
