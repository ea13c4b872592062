"""One owner's backlog delays nobody else: owners take turns in a ring, urgent mail ahead."""
from __future__ import annotations

from collections import Counter

import pytest

from tests.queue.filling import BOTH, NOTICES, TABLE, fill, order, owners, sent
from tests.support.product import SENT, Result, relay

MANY = 100_000
CROWD = range(1000, 1400)
TAKEN = Result(SENT, 250, "", "taken")
both = pytest.mark.parametrize("job", BOTH)


@pytest.fixture
def shared(bench):
    """Three owners, 100 messages an hour."""
    owners(bench, (1, 2, 3))
    relay.URGENT_SHARE = 0
    bench.config(mail={"per_hour": "100"})
    return bench


@pytest.mark.slow
@pytest.mark.parametrize("time", [None, "2026-11-24 12:00:00"])
@both
def test_five_rows_beside_a_hundred_thousand_are_served_in_the_first_run(shared, job, time):   # R66
    fill(shared, job, 1, MANY, next_attempt_at=time)
    fill(shared, job, 2, 5, created_at="2026-11-24 13:00:00")
    shared.run(job)
    assert sent(shared) == {"u1": 95, "u2": 5}          # and nothing of the limit is left idle
    assert order(shared)[:11].count("u2") == 5


@pytest.mark.parametrize("rows", [3, 200])              # all in a page, and more than it holds
@both
def test_owners_take_turns_over_the_runs_each_with_its_oldest(shared, job, rows):     # R66
    for owner in (3, 1, 2):
        fill(shared, job, owner, rows)
    for _ in range(3):
        shared.run(job, limit=2)
    assert order(shared) == ["u1", "u2", "u3"] * 2
    items = [int(mail.item_id.rpartition("-")[2]) for mail in shared.outbox]
    assert all(items[at] < items[at + 3] for at in range(3))


@both
def test_a_lap_around_many_owners_serves_each_once(shared, job):     # R66
    shared.config(mail={"per_hour": "off"})
    owners(shared, CROWD)
    fill(shared, job, CROWD, 2)
    for _ in range(5):                                  # behind the last one, and around
        shared.run(job, limit=90)
    assert order(shared) == [f"u{id}" for id in [*CROWD, *CROWD][:450]]


@pytest.mark.parametrize("rows", [3, 400])
def test_rows_of_nobody_have_a_turn_of_their_own(shared, rows):     # R66
    fill(shared, NOTICES, 1, rows)
    fill(shared, NOTICES, None, 3)
    shared.run(NOTICES, limit=5)
    assert sent(shared) == {"u1": 2, "uNone": 3}
    assert order(shared)[0] == "uNone"


@pytest.mark.parametrize("each", [1, 100])
@both
def test_an_owner_behind_many_that_are_not_due_is_found(shared, job, each):     # R66
    owners(shared, range(1000, 1500))
    owners(shared, (9000,))
    fill(shared, job, 1, 2000)
    fill(shared, job, range(1000, 1500), each, next_attempt_at="2026-11-24 15:00:00")
    fill(shared, job, 9000, created_at="2026-11-24 13:00:00")
    shared.run(job, limit=50)
    assert sent(shared) == {"u1": 49, "u9000": 1}


@pytest.mark.parametrize("many", [False, True])
@both
def test_a_suspended_owners_backlog_hides_nobody_and_is_not_due(shared, job, many):     # R66
    suspended = CROWD if many else (1,)
    if many:
        owners(shared, CROWD)
    shared.db.execute("UPDATE {users} SET status = 'suspended' WHERE id IN (:ids)",
                      ids=list(suspended))
    fill(shared, job, range(CROWD[0], CROWD[-1] + 1) if many else 1, 1 if many else 1000)
    fill(shared, job, 2, 5, created_at="2026-11-24 13:00:00")
    assert shared.run(job, dry_run=True)["sent"] == 5
    assert shared.run(job)["sent"] == 5
    assert shared.run(job, dry_run=True)["sent"] == 0
    assert {row["attempts"] for row in shared.db.query(
        f"SELECT attempts FROM {{{TABLE[job]}}} WHERE user_id <> 2")} == {0}


@pytest.mark.parametrize("owner", [1, 1399])
def test_urgent_mail_goes_ahead_of_everybody_elses_ordinary_mail(shared, owner):     # R38 R66
    relay.URGENT_SHARE = 10
    owners(shared, CROWD)
    fill(shared, NOTICES, CROWD)
    fill(shared, NOTICES, owner, priority=0, created_at=shared.now)
    shared.run(NOTICES, limit=3)
    assert order(shared) == [f"u{owner}", "u1000", "u1001"]


def test_within_an_owner_urgent_mail_goes_first(shared):     # R38
    relay.URGENT_SHARE = 0                             # nothing may go out of its turn
    for priority in (2, 1, 0):
        fill(shared, NOTICES, 1, priority=priority, subject=str(priority))
    shared.run(NOTICES)
    assert [mail.subject for mail in shared.outbox] == ["0", "1", "2"]


def test_an_urgent_flood_of_one_owner_takes_the_reserve_and_its_turns(shared):     # R38 R66
    relay.URGENT_SHARE = 10
    shared.config(mail={"per_hour": "40"})
    owners(shared, range(1000, 1028))
    fill(shared, NOTICES, 1, 1000, priority=0)
    fill(shared, NOTICES, range(1000, 1028))
    shared.run(NOTICES)
    found = sent(shared)
    assert (found.pop("u1"), Counter(found.values())) == (12, {1: 28})


def test_an_urgent_notice_that_comes_in_during_a_long_run_goes_ahead(shared):     # R38
    fill(shared, NOTICES, 1, 60)

    def arrive(_):
        shared.clock.sleep(6)
        if len(shared.outbox) == 3:
            fill(shared, NOTICES, 2, priority=0, created_at=shared.ago(hours=1))
        return TAKEN
    shared.outbox.answer = arrive
    shared.run(NOTICES, limit=10)
    assert "u2" in order(shared)[:6]


def test_a_backlog_without_times_is_not_looked_at_after_each_message(shared):      # R66
    fill(shared, NOTICES, 1, 10_000)

    def hear(sql: str, _values: dict) -> None:          # it takes longer than the time between two
        shared.clock.seconds += 6 * sql.startswith("UPDATE {notifications} SET next_attempt_at")
    shared.on_statement = hear
    shared.outbox.answer = lambda _: shared.clock.sleep(1) or TAKEN
    shared.run(NOTICES, limit=20)
    assert sum("SET next_attempt_at" in sql for sql in shared.statements) <= 6


@both
def test_what_is_about_nobody_is_due_nowhere(shared, job):     # R66
    fill(shared, job, 99, 9)                            # many are held, and nobody is to be alerted
    fill(shared, job, 1, 2)
    found = shared.json("queue")
    assert sum(each["due"] or 0 for each in found) == 2
