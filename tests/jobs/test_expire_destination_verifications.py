"""Expired tokens go; unverified destinations are reminded of once, and removed only long after a
notice."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.support.databases import bulk
from tests.support.product import safety_stop

JOB = "expire_destination_verifications"
NONE = {"tokens": 0, "notices": 0, "removed": 0}
SECOND = 1 / 86400              # of a day


@pytest.fixture
def owned(bench):
    """The bench with an owner."""
    bench.table("users", [{"id": 1, "email": "jo@home.example", "name": "Jo"}])
    return bench


def destination(bench, id: int, days: float, told: float | None = None, user_id: int = 1,
                **values) -> dict:
    """Added this many days ago; `told`: how many days ago its owner was notified of its removal."""
    when = None if told is None else bench.ago(days=told)
    return {"id": id, "user_id": user_id, "email": f"d{id}@far.example", "reminded_at": when,
            "removal_notified_at": when, "created_at": bench.ago(days=days), **values}


def notices(bench) -> list[tuple]:
    return [(row["user_id"], row["kind"]) for row in bench.rows("notifications")]


def removed(bench) -> list[int]:
    """The destinations that have an audit row, one for each."""
    return sorted(json.loads(row["details"])["destination_id"] for row in bench.rows("audit_logs"))


def sent(bench) -> None:
    """What waits in the queue was sent at once."""
    bench.db.execute("UPDATE {notifications} SET status = 'sent', finished_at = created_at")


# What becomes of one

REMINDED, TOLD, REMOVED, STAYS = "destination_reminder", "destination_removal", "removed", "stays"
# {what: (days since it was added, days since its owner was told of its removal, that notice's
# status and how many days ago it was finished, what becomes of it)}
CASES = {
    "at the limit of the reminder": (3, None, None, STAYS),
    "past it": (3 + SECOND, None, None, REMINDED),
    "at the limit of the notice": (27, None, None, REMINDED),
    "past that": (27 + SECOND, None, None, TOLD),
    "very old": (300, None, None, TOLD),
    "at its end": (30, 3, ("sent", 3), STAYS),
    "past it, told 3 days ago": (30 + SECOND, 3, ("sent", 3), REMOVED),
    "told a little later": (31, 3 - SECOND, ("sent", 3 - SECOND), STAYS),
    "the notice was sent later": (90, 5, ("sent", 2), STAYS),
    "it could not be sent": (90, 6, ("failed", 3), REMOVED),
    "it is no longer there": (90, 5, None, REMOVED),
    "it waits": (90, 7 - SECOND, ("pending", None), STAYS),
    "it has waited for 7 days": (90, 7, ("pending", None), REMOVED),
    "it is being sent": (90, 7 - SECOND, ("sending", None), STAYS),
    "removals were off for a month": (400, 33, ("sent", 33), REMOVED),
    "and longer": (400, 34, ("sent", 34), TOLD),
}


def become(bench, id: int) -> str:
    """What a run has made of it; each has an owner of its own."""
    if id not in bench.ids("destinations"):
        return REMOVED
    new = [row["kind"] for row in bench.rows("notifications")
           if row["user_id"] == id and row["dedupe_key"]]
    return new[0] if new else STAYS


def test_what_becomes_of_an_unverified_destination(bench):
    for id, (days, told, notice, _) in enumerate(CASES.values(), 1):
        bench.table("users", [{"id": id, "email": f"u{id}@home.example"}])
        bench.table("destinations", [destination(bench, id, days, told, user_id=id)])
        if notice:
            status, finished = notice
            bench.table("notifications", [{
                "user_id": id, "kind": TOLD, "status": status, "created_at": bench.ago(days=told),
                "finished_at": None if finished is None else bench.ago(days=finished)}])
    counts = bench.run(JOB)
    expected = [case[-1] for case in CASES.values()]
    assert {what: become(bench, id) for id, what in enumerate(CASES, 1)} == {
        what: case[-1] for what, case in CASES.items()}
    assert counts == {"tokens": 0, "removed": expected.count(REMOVED),
                      "notices": expected.count(TOLD) + expected.count(REMINDED)}
    assert bench.run(JOB) == NONE


def test_others_than_the_unverified_of_active_owners_are_left_alone(owned):
    owned.table("users", [{"id": 2, "status": "suspended", "email": "su@home.example"},
                          {"id": 3, "email": "no address"}])
    ago = owned.ago(days=1)
    owned.table("destinations", [destination(owned, 1, 8, verified_at=ago),
                                 destination(owned, 2, 8, reminded_at=ago),
                                 destination(owned, 3, 400, told=34, user_id=2),
                                 # nobody can be told of it: never without a notice
                                 destination(owned, 4, 40, user_id=3)])
    for _ in range(3):
        assert owned.run(JOB) == NONE
        owned.now = owned.ahead(hours=1)


def test_all_of_an_owner_are_in_one_notice(owned):
    owned.config(core={"app_url": "https://app.example/"})
    owned.table("destinations", [destination(owned, 1, 4), destination(owned, 2, 3),
                                 destination(owned, 3, 8)])
    assert owned.run(JOB) == {**NONE, "notices": 1}
    [row] = owned.rows("notifications")
    assert row["dedupe_key"] == f"destination-reminder:3:{owned.ago(days=8):%Y-%m-%d %H:%M:%S}"
    assert row["subject"] == "Please verify 2 of your destinations"
    assert "https://app.example/destinations" in row["body_text"]
    assert owned.ids("destinations", "reminded_at = '2026-11-24 14:30:05'") == [1, 3]


# SQLite gives the highest id again, unless the app's table has AUTOINCREMENT
def test_the_owner_of_a_destination_that_has_the_id_of_a_deleted_one_is_reminded_too(owned):
    owned.table("users", [{"id": 3, "email": "ma@home.example"}])
    owned.table("destinations", [destination(owned, 1, 8)])
    owned.run(JOB)
    owned.db.execute("DELETE FROM {destinations} WHERE id = 1")
    owned.table("destinations", [destination(owned, 1, 4, user_id=3)])
    assert owned.run(JOB)["notices"] == 1
    assert notices(owned) == [(1, REMINDED), (3, REMINDED)]


def test_one_that_an_alias_uses_is_reminded_of_however_old_it_is_and_never_told_of_removal(owned):
    owned.table("destinations", [destination(owned, 1, 90)])
    owned.table("alias_destinations", [{"alias_id": 5, "destination_id": 1}])
    owned.run(JOB)
    for days in (1, 40, 80):
        owned.now = owned.ahead(days=days)
        assert owned.run(JOB) == NONE
    assert notices(owned) == [(1, REMINDED)]
    assert owned.ids("destinations") == [1]


def test_each_part_can_be_switched_off(owned):
    owned.table("destinations", [destination(owned, 1, 90), destination(owned, 2, 90, told=5)])
    assert owned.run(JOB, remind_after="off", remove_after="off") == NONE
    assert owned.run(JOB, remove_after="off") == {**NONE, "notices": 1}
    assert notices(owned) == [(1, REMINDED)]
    assert owned.run(JOB, remind_after="off") == {"tokens": 0, "notices": 1, "removed": 1}


def test_however_late_the_run_three_days_lie_between_notice_and_removal(owned):
    owned.table("destinations", [destination(owned, 1, 300)])
    begin, gone = owned.now, None
    for hours in range(0, 120, 6):
        owned.now = begin + timedelta(hours=hours)
        sent(owned)
        if owned.run(JOB)["removed"]:
            gone = hours
            break
    assert gone == 72
    assert notices(owned) == [(1, TOLD)]


# The removal, and tokens

def test_it_goes_with_its_tokens_and_leaves_an_audit_row(owned):
    owned.table("destinations", [destination(owned, 1, 30 + SECOND, told=3),
                                 destination(owned, 2, 30, told=3)])
    ahead = owned.ahead(days=9)
    owned.table("destination_verifications", [
        {"id": 1, "destination_id": 1, "expires_at": ahead},
        {"id": 2, "destination_id": 2, "expires_at": ahead},
        {"id": 3, "destination_id": 2, "expires_at": owned.ago(seconds=1)},
        # exactly at the limit stays
        {"id": 4, "destination_id": 2, "expires_at": owned.now},
        # of a destination that was deleted
        {"id": 5, "destination_id": 9, "expires_at": owned.ago(days=99)},
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
     "created_at) VALUES (1, 1, 1, 'a@b.example', 'x', '2026-11-24 14:00:00')"),
])
def test_what_is_verified_used_or_awaited_stays(owned, change, is_meanwhile):
    owned.table("destinations", [destination(owned, id, 90, told=5) for id in (1, 2)])
    owned.table("failed_emails", [{"destination_id": 2, "status": "sent"}])
    if is_meanwhile:                # after they were found, before the transaction
        owned.meanwhile("BEGIN", change)
    else:
        owned.elsewhere(change)
    assert owned.run(JOB)["removed"] == 1
    assert owned.ids("destinations") == [1]
    assert removed(owned) == [2]


def test_a_limit_shortened_by_mistake_stops_before_a_mail_is_written(owned, monkeypatch):      # R19
    monkeypatch.setattr(safety_stop, "MOST_ROWS", 10)
    bulk(owned.db, "destinations", ["user_id", "email", "created_at", "reminded_at"],
         [(1, f"d{number}@far.example", owned.ago(days=20), owned.ago(days=9))
          for number in range(20)])
    owned.run(JOB)
    told = owned.fails(JOB, remove_after="3d")
    assert told.startswith("20 of 20 rows of destinations would be deleted: "
                           "[expire_destination_verifications] remove_after is 3d, it was 30d")
    assert notices(owned) == []
    assert owned.run(JOB, remove_after="3d", yes=True) == {**NONE, "notices": 1}
