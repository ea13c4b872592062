"""A dry run of mail is the run without its writes: its counts are those of the run that follows,
when a limit is used up, the relay is paused, or a stored message is missing."""
from __future__ import annotations

import pytest

from tests.queue.filling import BOTH, FORWARDS, NOTICES, TABLE, fill, owners

COUNTS = ("sent", "failed", "cancelled", "invalid")
OLDEST, OLD = ({"next_attempt_at": f"2026-11-24 0{hour}:00:00"} for hour in (5, 6))
LOST = {"raw_path": "lost.eml", **OLDEST}
TRIED = {"attempts": 2, **OLDEST}
THREE = (range(1, 4), 1, {})
FULL, FAILED = "[mail] per_hour = 3 is reached", "[mail] failures_per_hour = 3 is reached"
MINUTE, PAUSED = {"per_minute": "3"}, "the relay is paused until"

# {case: (job, [mail], what the three attempts of this hour were, rows: (owner, number, values),
# options of the run, what it counts, what the dry run says)}
CASES: dict = {
    "what can only be cancelled needs no room, and what can only fail is not met behind it": (
        FORWARDS, {"per_hour": "3"}, "sent", [(0, 1, OLDEST), (1, 2, OLDEST), (1, 1, LOST)], {},
        {"cancelled": 1}, FULL),
    "no room for notices": (NOTICES, {"per_hour": "3"}, "sent", [THREE], {}, {}, FULL),
    "too many have failed": (FORWARDS, {"failures_per_hour": "3"}, "refused", [
        (range(1, 4), 1, TRIED)], {}, {}, FAILED),
    "then first attempts alone go": (NOTICES, {"failures_per_hour": "3"}, "refused", [
        (1, 1, TRIED), (2, 1, {})], {}, {"sent": 1}, FAILED),
    **{f"a minute's room is waited for within {budget}": (
        FORWARDS, MINUTE, None, [(1, 8, {})], {"budget": budget}, {"sent": number}, "")
       for budget, number in (("4m", 8), ("100s", 6), ("65s", 3))},
    # two of them are for urgent mail
    "urgent mail that its share has no room for goes in its turn": (
        NOTICES, {"per_hour": "20"}, None, [(range(1, 4), 1, {"priority": 0}), THREE], {},
        {"sent": 6}, None),
    "a limit of items": (FORWARDS, {"per_hour": "80"}, None, [(1, 1, LOST), (1, 3, OLD)],
                         {"limit": 2}, {"sent": 1, "failed": 1}, None),
    **{f"a paused relay: {job}": (job, {}, "paused", [THREE], {}, {}, PAUSED) for job in BOTH}}


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


@pytest.mark.parametrize("case", CASES)
def test_a_dry_run_counts_what_the_run_does(shared, case):       # R11 R27 R37
    job, options, before, rows, given, counts, note = CASES[case]
    shared.config(mail={"per_minute": "off", "per_hour": "off", "per_day": "off", **options})
    if before == "paused":
        shared.table("relay_state", [{"id": 1, "paused_until": shared.ahead(minutes=20)}])
    elif before:
        shared.table("attempts", [{"kind": "forward", "item_id": 9, "outcome": before,
                                   "began_at": shared.ago(minutes=20)}] * 3)
    for whose, number, values in rows:
        fill(shared, job, whose, number, **values)
    assert both(shared, job, **given) == counts
    assert "is reached" not in shared.notes if note is None else note in shared.notes


@pytest.mark.parametrize("job", BOTH)
def test_bad_rows_end_beside_good_ones_and_alone_they_fail_the_run(shared, job):       # R11 R67
    odd = "many" if shared.url.startswith("sqlite") else -1
    fill(shared, job, 1, 5)
    shared.db.execute(f"UPDATE {{{TABLE[job]}}} SET attempts = :odd", odd=odd)
    said = shared.fails(job, dry_run=True)
    assert said == shared.fails(job)
    assert f"none of 5 due rows of {TABLE[job]} can be processed" in said
    fill(shared, job, 2)
    assert both(shared, job) == {"sent": 1, "invalid": 5}
