"""Expired tokens are deleted; unverified destinations are reminded of once, and removed only long
after a warning was sent."""
from __future__ import annotations

import json

import pytest

JOB = "expire_destination_verifications"
NONE = {"tokens": 0, "notices": 0, "removed": 0}
SECOND = 1 / 86400              # of a day
REMINDED, WARNED, REMOVED, STAYS = "destination_reminder", "destination_removal", "removed", "stays"


@pytest.fixture
def owned(bench):
    """The bench with an owner."""
    bench.table("users", [{"id": 1, "email": "jo@home.example", "name": "Jo"}])
    return bench


def destination(bench, id: int, days: float, warned: float | None = None, user_id: int = 1,
                **values) -> dict:
    """Added this many days ago; `warned`: how many days ago the warning of its removal was written.
    """
    when = None if warned is None else bench.ago(days=warned)
    return {"id": id, "user_id": user_id, "email": f"d{id}@far.example", "reminded_at": when,
            "removal_notified_at": when, "created_at": bench.ago(days=days), **values}


def warning(bench, user_id: int, days: float, status: str, ended: float | None) -> None:
    """The warning that was written so many days ago, and sent or refused `ended` days ago."""
    at = None if ended is None else bench.ago(days=ended)
    why = "cancelled: the account is deleted" if status == "cancelled" else None
    bench.table("notifications", [{
        "user_id": user_id, "kind": WARNED, "created_at": bench.ago(days=days), "last_error": why,
        "status": "failed" if why else status, "to_email": f"u{user_id}@home.example",
        "finished_at": at, "sent_at": at if status == "sent" else None}])


def notices(bench) -> list[tuple]:
    return [(row["user_id"], row["kind"]) for row in bench.rows("notifications")]


# What becomes of one

# {what: (days since it was added, days since the warning of its removal was written, what became
# of that and how many days ago, what becomes of the destination)}
CASES = {
    "at the limit of the reminder": (3, None, None, STAYS),
    "past it": (3 + SECOND, None, None, REMINDED),
    "at the limit of the warning": (27, None, None, REMINDED),
    "past that": (27 + SECOND, None, None, WARNED), "very old": (300, None, None, WARNED),
    "warned at a time that is none": (90, 20_000, None, WARNED),        # R67
    "at its end": (30, 3, ("sent", 3), STAYS),
    "past it, warned 3 days ago": (30 + SECOND, 3, ("sent", 3), REMOVED),
    "warned a little later": (31, 3 - SECOND, ("sent", 3 - SECOND), STAYS),
    "the warning was sent later": (90, 5, ("sent", 2), STAYS),
    "the warning waits": (90, 20, ("pending", None), STAYS),
    "the warning is being sent": (90, 20, ("sending", None), STAYS),
    "refused, at twice the limit": (60, 33, ("failed", 1), STAYS),
    "refused, past that": (60 + SECOND, 33, ("failed", 1), REMOVED),
    "the warning was purged": (60 + SECOND, 33, None, WARNED),
    "the warning was cancelled": (60 + SECOND, 33, ("cancelled", 1), WARNED),
    "suspended, and unwarned": (60 + SECOND, None, None, REMOVED),
    "removals were off for long": (400, 300, ("sent", 300), REMOVED),
    "its owner is suspended": (28, None, None, WARNED),
    "suspended, and the warning waits": (60, 33, ("pending", None), STAYS),
    "suspended, past twice the limit": (60 + SECOND, 33, ("pending", None), REMOVED),
    "suspended: no reminder": (8, None, None, STAYS)}


def became(bench, id: int) -> str:
    """What a run has made of it; each has an owner of its own."""
    if id not in bench.ids("destinations"):
        return REMOVED
    new = [row["kind"] for row in bench.rows("notifications")
           if row["user_id"] == id and row["dedupe_key"]]
    return new[0] if new else STAYS


def test_what_becomes_of_an_unverified_destination(bench):      # R83
    bench.bulk("destinations", [destination(bench, 1000 + at, 0, user_id=99, verified_at=bench.now)
                                for at in range(100)])          # so few are no mass change
    for id, (what, (days, warned, ended, _)) in enumerate(CASES.items(), 1):
        bench.table("users", [{"id": id, "email": f"u{id}@home.example",
                               "status": "suspended" if "suspended" in what else "active"}])
        bench.table("destinations", [destination(bench, id, days, warned, user_id=id)])
        if ended:
            warning(bench, id, warned, *ended)
    counts = bench.run(JOB)
    expected = [case[-1] for case in CASES.values()]
    assert {what: became(bench, id) for id, what in enumerate(CASES, 1)} == dict(
        zip(CASES, expected))
    assert counts == {"tokens": 0, "removed": expected.count(REMOVED),
                      "notices": expected.count(WARNED) + expected.count(REMINDED)}
    assert {"on or after 27 November 2026 at 14:30" in row["body_text"]     # however late it is
            for row in bench.rows("notifications") if row["kind"] == WARNED and row["dedupe_key"]
            } == {True}
    assert bench.run(JOB) == NONE


def test_one_that_an_alias_uses_is_reminded_of_however_old_it_is_and_never_removed(owned):
    owned.table("destinations", [destination(owned, 1, 90)])
    owned.table("alias_destinations", [{"alias_id": 5, "destination_id": 1}])
    owned.run(JOB)
    for days in (1, 40, 80):
        owned.now = owned.ahead(days=days)
        assert owned.run(JOB) == NONE
    assert notices(owned) == [(1, REMINDED)]
    assert owned.ids("destinations") == [1]


def test_while_removals_are_held_back_reminders_and_tokens_go_on(owned):        # R79
    owned.bulk("destinations", [destination(owned, id, 90 if id < 8 else 1) for id in range(1, 30)])
    owned.table("destinations", [destination(owned, 30, 4)])
    owned.table("destination_verifications", [{"destination_id": 30,
                                               "expires_at": owned.ago(seconds=1)}])
    assert owned.run(JOB) == {"tokens": 1, "notices": 1, "removed": 0, "held": 7}
    assert notices(owned) == [(1, REMINDED)]


def test_each_part_can_be_switched_off(owned):
    owned.table("destinations", [destination(owned, 1, 90), destination(owned, 2, 90, warned=5)])
    warning(owned, 1, 5, "sent", 5)
    assert owned.run(JOB, remind_after="off", remove_after="off") == NONE
    assert owned.run(JOB, remove_after="off") == {**NONE, "notices": 1}
    assert notices(owned) == [(1, WARNED), (1, REMINDED)]
    assert owned.run(JOB, remind_after="off") == {"tokens": 0, "notices": 1, "removed": 1}


def test_a_removed_one_takes_its_tokens_along_and_leaves_an_audit_row(owned):
    warning(owned, 1, 3, "sent", 3)
    owned.table("destinations", [destination(owned, 1, 30 + SECOND, warned=3),
                                 destination(owned, 2, 30, warned=3)])
    ahead = owned.ahead(days=9)
    owned.table("destination_verifications", [
        {"id": 1, "destination_id": 1, "expires_at": ahead},
        {"id": 2, "destination_id": 2, "expires_at": ahead},
        {"id": 3, "destination_id": 2, "expires_at": owned.ago(seconds=1)},
        {"id": 4, "destination_id": 2, "expires_at": owned.now},        # exactly at the limit stays
        {"id": 5, "destination_id": 9, "expires_at": owned.ago(days=99)},   # of one that is deleted
    ])
    assert owned.run(JOB) == {"tokens": 2, "notices": 0, "removed": 1}
    assert (owned.ids("destinations"), owned.ids("destination_verifications")) == ([2], [2, 4])
    [row] = owned.rows("audit_logs")
    assert (row["user_id"], row["event"]) == (1, "destination.removed")
    assert json.loads(row["details"]) == {"destination_id": 1, "email": "d1@far.example",
                                          "created_at": "2026-10-25 14:30:04"}


@pytest.mark.parametrize("is_meanwhile", [False, True])
@pytest.mark.parametrize("change", [
    "UPDATE {destinations} SET verified_at = '2026-11-24 14:00:00' WHERE id = 1",
    "INSERT INTO {alias_destinations} (alias_id, destination_id) VALUES (7, 1)",
    ("INSERT INTO {failed_emails} (user_id, alias_id, destination_id, envelope_to, raw_path, "
     "created_at) VALUES (1, 1, 1, 'a@b.example', 'x', '2026-11-24 14:00:00')")])
def test_what_is_verified_used_or_awaited_stays(owned, change, is_meanwhile):
    owned.table("destinations", [destination(owned, id, 90, warned=5) for id in (1, 2)])
    owned.table("failed_emails", [{"destination_id": 2, "status": "sent"}])
    warning(owned, 1, 5, "sent", 5)
    if is_meanwhile:                # after they were found, before the transaction
        owned.meanwhile("BEGIN", change)
    else:
        owned.elsewhere(change)
    assert owned.run(JOB)["removed"] == 1
    assert owned.ids("destinations") == [1]
