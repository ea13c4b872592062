"""A dry run of mail is the run without its writes: its counts are those of the run that follows,
when a limit is used up, the relay is paused, or a stored message is missing."""
from __future__ import annotations

import pytest

from tests.queue.filling import BOTH, FORWARDS, NOTICES, TABLE, fill, owners

COUNTS = ("sent", "failed", "cancelled", "invalid")


@pytest.fixture
def shared(bench):
    owners(bench, range(1, 4))
    bench.config(mail={"per_minute": "off", "per_hour": "off", "per_day": "off"})
    return bench


def both(bench, job: str, **options) -> dict:
    """What a dry run counts, which has to be what the run after it counts."""
    said = bench.run(job, dry_run=True, **options)
    bench.notes, done = str(bench.samples), bench.run(job, **options)
    assert [said.get(name, 0) for name in COUNTS] == [done.get(name, 0) for name in COUNTS]
    return {name: done[name] for name in COUNTS if done.get(name)}


def tried(bench, outcome: str, number: int) -> None:
    bench.table("attempts", [{"kind": "forward", "item_id": 9, "outcome": outcome,
                              "began_at": bench.ago(minutes=20)} for _ in range(number)])


@pytest.mark.parametrize("job", BOTH)
def test_the_first_row_without_room_is_the_last_one_of_the_run(shared, job):       # R11 R37
    """What can only be cancelled needs none; what can only fail does, and is not met behind it."""
    shared.config(mail={"per_hour": "10"})
    tried(shared, "sent", 10)
    fill(shared, job, 99, next_attempt_at=shared.ago(hours=9))
    fill(shared, job, 1, 2, next_attempt_at=shared.ago(hours=8))
    if job == FORWARDS:
        fill(shared, job, 1, raw_path="lost.eml", next_attempt_at=shared.ago(hours=7))
    assert both(shared, job) in ({"cancelled": 1}, {})
    assert "[mail] per_hour = 10 is reached" in shared.notes


def test_where_too_many_have_failed_only_first_attempts_go(shared):        # R11 R37
    shared.config(mail={"per_hour": "off", "failures_per_hour": "3"})
    tried(shared, "refused", 3)
    fill(shared, FORWARDS, range(1, 4))
    assert both(shared, FORWARDS) == {}
    assert "[mail] failures_per_hour = 3 is reached" in shared.notes
    fill(shared, NOTICES, range(1, 3))
    shared.db.execute("UPDATE {notifications} SET attempts = 2, last_attempt_at = :then "
                      "WHERE user_id = 1", then=shared.ago(hours=3))
    assert both(shared, NOTICES) == {"sent": 1}


@pytest.mark.parametrize("budget, sent", [("4m", 8), ("100s", 6), ("65s", 3)])
def test_a_minutes_room_is_waited_for_within_the_budget(shared, budget, sent):     # R11 R37
    shared.config(mail={"per_minute": "3", "per_hour": "off"})
    fill(shared, FORWARDS, 1, 8)
    assert both(shared, FORWARDS, budget=budget) == {"sent": sent}


@pytest.mark.parametrize("job", BOTH)
def test_bad_rows_end_beside_good_ones_and_alone_they_fail_the_run(shared, job):       # R11 R67
    odd = "many" if shared.url.startswith("sqlite") else -1
    fill(shared, job, 1, 5)
    shared.db.execute(f"UPDATE {{{TABLE[job]}}} SET attempts = :odd", odd=odd)
    said = shared.fails(job, dry_run=True)
    assert said == shared.fails(job)
    assert f"none of 5 due rows of {TABLE[job]} can be worked on" in said
    fill(shared, job, 2)
    assert both(shared, job) == {"sent": 1, "invalid": 5}


def test_urgent_mail_that_its_share_has_no_room_for_goes_in_its_turn(shared):      # R11 R37
    shared.config(mail={"per_hour": "20"})                  # two of them are for urgent mail
    fill(shared, NOTICES, range(1, 4), priority=0)
    fill(shared, NOTICES, range(1, 4))
    assert both(shared, NOTICES) == {"sent": 6}
    assert "is reached" not in shared.notes


def test_a_limit_of_items_ends_it_where_it_ends_the_run(shared):       # R11
    fill(shared, FORWARDS, 1, raw_path="lost.eml", next_attempt_at=shared.ago(hours=7))
    fill(shared, FORWARDS, 1, 3, next_attempt_at=shared.ago(hours=1))
    shared.config(mail={"per_hour": "80"})
    said = shared.run(FORWARDS, dry_run=True, limit=2)
    assert not any("is reached" in sample["note"] for sample in shared.samples)
    done = shared.run(FORWARDS, limit=2)
    assert (said["sent"], said["failed"]) == (done["sent"], done["failed"]) == (1, 1)


@pytest.mark.parametrize("job", BOTH)
def test_a_paused_relay_is_said_before(shared, job):       # R11 R27
    fill(shared, job, 1, 3)
    shared.table("relay_state", [{"id": 1, "paused_until": shared.ahead(minutes=20)}])
    assert both(shared, job) == {}
    assert "the relay is paused until" in shared.notes
