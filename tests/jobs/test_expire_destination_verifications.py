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


@pytest.fixture
def owned(bench):
    """The bench with three owners."""
    bench.table("users", [{"id": 1, "email": "jo@home.example", "name": "Jo"},
                          {"id": 2, "email": "su@home.example", "status": "suspended"},
                          {"id": 3, "email": "ma@home.example"}])
    return bench


def destination(bench, id: int, *, user_id: int = 1, told=None, **age) -> dict:
    """Added this long ago; `told`: how many days ago its owner was notified of its removal."""
    row = {"id": id, "user_id": user_id, "email": f"d{id}@far.example",
           "created_at": bench.ago(**age)}
    return row if told is None else {**row, "removal_notified_at": bench.ago(days=told),
                                     "reminded_at": bench.ago(days=told)}


def notice(bench, **values) -> None:
    """The notice about a removal."""
    bench.table("notifications", [{"user_id": 1, "kind": "destination_removal", "status": "sent",
                                   **values}])


def notices(bench) -> list[tuple]:
    return [(row["user_id"], row["kind"]) for row in bench.rows("notifications")]


def removed(bench) -> list[int]:
    """The destinations that have an audit row, one for each."""
    return sorted(json.loads(row["details"])["destination_id"] for row in bench.rows("audit_logs"))


# Tokens

def test_expired_tokens_go(owned):
    owned.table("destinations", [destination(owned, 1, hours=1)])
    owned.table("destination_verifications", [
        {"id": 1, "destination_id": 1, "expires_at": owned.ago(seconds=1)},
        # exactly at the limit stays
        {"id": 2, "destination_id": 1, "expires_at": owned.now},
        {"id": 3, "destination_id": 1, "expires_at": owned.ahead(days=1)},
        # of a destination that was deleted
        {"id": 4, "destination_id": 9, "expires_at": owned.ago(days=99)},
    ])
    assert owned.run(JOB) == {"tokens": 2, "notices": 0, "removed": 0}
    assert owned.ids("destination_verifications") == [2, 3]


# The reminder

def test_after_three_days_the_owner_is_reminded_once_at_the_account_s_address(owned):
    owned.config(core={"app_url": "https://app.example/"})
    owned.table("destinations", [
        destination(owned, 1, days=3, seconds=1),
        # exactly at the limit: not yet
        destination(owned, 2, days=3),
        destination(owned, 3, days=8),
        {**destination(owned, 4, days=8), "verified_at": owned.ago(days=1)},
        {**destination(owned, 5, days=8), "reminded_at": owned.ago(days=1)},
        destination(owned, 6, days=8, user_id=2),
    ])
    assert owned.run(JOB) == {"tokens": 0, "notices": 1, "removed": 0}
    [row] = owned.rows("notifications")
    assert (row["to_email"], row["kind"], row["persona"], row["priority"], row["dedupe_key"]) == (
        "jo@home.example", "destination_reminder", "porter", 2,
        f"destination-reminder:3:{owned.ago(days=8):%Y-%m-%d %H:%M:%S}")
    assert row["subject"] == "Please verify 2 of your destinations"
    assert "https://app.example/destinations" in row["body_text"]
    assert owned.ids("destinations", "reminded_at = '2026-11-24 14:30:05'") == [1, 3]
    assert owned.run(JOB) == NONE


# SQLite gives the highest id again, unless the app's table has AUTOINCREMENT
def test_the_owner_of_a_destination_that_has_the_id_of_a_deleted_one_is_reminded_too(owned):
    owned.table("destinations", [destination(owned, 1, days=8)])
    owned.run(JOB)
    owned.db.execute("DELETE FROM {destinations} WHERE id = 1")
    owned.table("destinations", [destination(owned, 1, user_id=3, days=4)])
    assert owned.run(JOB)["notices"] == 1
    assert notices(owned) == [(1, "destination_reminder"), (3, "destination_reminder")]


def test_one_that_an_alias_uses_is_reminded_of_however_old_it_is_and_never_told_of_removal(owned):
    owned.table("destinations", [destination(owned, 1, days=90)])
    owned.table("alias_destinations", [{"alias_id": 5, "destination_id": 1}])
    owned.run(JOB)
    for days in (1, 40, 80):
        owned.now = owned.ahead(days=days)
        assert owned.run(JOB) == NONE
    assert notices(owned) == [(1, "destination_reminder")]
    assert owned.ids("destinations") == [1]


def test_each_part_can_be_switched_off(owned):
    owned.table("destinations", [destination(owned, 1, days=90), destination(owned, 2, days=90,
                                                                             told=5)])
    assert owned.run(JOB, remind_after="off", remove_after="off") == NONE
    assert owned.run(JOB, remove_after="off") == {"tokens": 0, "notices": 1, "removed": 0}
    assert notices(owned) == [(1, "destination_reminder")]
    assert owned.run(JOB, remind_after="off") == {"tokens": 0, "notices": 1, "removed": 1}


# The notice of a removal

def test_three_days_before_the_removal_its_owner_is_told_instead_of_reminded(owned):
    owned.table("destinations", [
        destination(owned, 1, days=27, seconds=1),
        # exactly at the limit: a reminder
        destination(owned, 2, days=27),
        destination(owned, 3, days=300),
    ])
    assert owned.run(JOB) == {"tokens": 0, "notices": 2, "removed": 0}
    reminder, removal = sorted(owned.rows("notifications"), key=lambda row: row["kind"])
    assert (removal["kind"], removal["persona"], removal["priority"]) == ("destination_removal",
                                                                          "porter", 1)
    assert removal["subject"] == "Verify 2 destinations before 27 November 2026 to keep them"
    assert "d2@" in reminder["body_text"]
    assert "d2@" not in removal["body_text"]
    assert owned.ids("destinations",
                     "removal_notified_at IS NOT NULL AND reminded_at IS NOT NULL") == [1, 3]
    assert owned.run(JOB) == NONE


def test_however_late_the_run_three_days_lie_between_notice_and_removal(owned):
    owned.table("destinations", [destination(owned, 1, days=300)])
    begin, gone = owned.now, None
    for hours in range(0, 120, 6):
        owned.now = begin + timedelta(hours=hours)
        owned.db.execute("UPDATE {notifications} SET status = 'sent', finished_at = created_at")
        if owned.run(JOB)["removed"]:
            gone = hours
            break
    assert gone == 72
    assert notices(owned) == [(1, "destination_removal")]


def test_the_days_count_from_when_the_notice_was_sent(owned):
    told = owned.ago(days=5)
    owned.table("destinations", [destination(owned, 1, days=90, told=5),
                                 destination(owned, 2, days=90, told=6),
                                 destination(owned, 3, days=90, told=5, user_id=3)])
    notice(owned, created_at=told, finished_at=owned.ago(days=2))
    notice(owned, created_at=owned.ago(days=6), finished_at=owned.ago(days=3), status="failed")
    # the third one's notice is no longer there
    assert owned.run(JOB)["removed"] == 2
    assert owned.ids("destinations") == [1]
    owned.now = owned.ahead(days=1)
    assert owned.run(JOB)["removed"] == 1


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_a_notice_that_waits_to_be_sent_holds_the_removal_back_for_seven_days(owned, status):
    owned.table("destinations", [destination(owned, 1, days=90, told=6)])
    notice(owned, created_at=owned.ago(days=6), status=status)
    assert owned.run(JOB) == NONE
    owned.now = owned.ahead(days=1)
    assert owned.run(JOB)["removed"] == 1


def test_a_notice_of_long_ago_no_longer_counts(owned):
    # removals were off, or an alias used it for a time; nobody tells the owner of the third
    owned.table("destinations", [destination(owned, 1, days=400, told=33),
                                 destination(owned, 2, days=400, told=34),
                                 destination(owned, 3, days=400, told=34, user_id=2)])
    assert owned.run(JOB) == {"tokens": 0, "notices": 1, "removed": 1}
    assert removed(owned) == [1]
    owned.db.execute("UPDATE {notifications} SET status = 'sent', finished_at = created_at")
    owned.now = owned.ahead(days=3)
    assert owned.run(JOB)["removed"] == 1
    assert owned.ids("destinations") == [3]


# The removal

def test_it_goes_with_its_tokens_and_leaves_an_audit_row(owned):
    owned.table("destinations", [destination(owned, 1, days=30, seconds=1, told=3),
                                 # exactly at the limit stays
                                 destination(owned, 2, days=30, told=3),
                                 destination(owned, 3, days=31, told=2.9)])
    owned.table("destination_verifications",
                [{"id": id, "destination_id": id, "expires_at": owned.ahead(days=9)}
                 for id in (1, 2, 3)])
    assert owned.run(JOB) == {"tokens": 0, "notices": 0, "removed": 1}
    assert owned.ids("destinations") == owned.ids("destination_verifications") == [2, 3]
    [row] = owned.rows("audit_logs")
    assert (row["user_id"], row["event"]) == (1, "destination.removed")
    assert json.loads(row["details"]) == {"destination_id": 1, "email": "d1@far.example",
                                          "created_at": "2026-10-25 14:30:04"}


@pytest.mark.parametrize("change", [
    "UPDATE {destinations} SET verified_at = '2026-11-24 14:00:00' WHERE id = 1",
    "INSERT INTO {alias_destinations} (alias_id, destination_id) VALUES (7, 1)",
    ("INSERT INTO {failed_emails} (user_id, alias_id, destination_id, envelope_to, raw_path, "
     "created_at)"
     " VALUES (1, 1, 1, 'a@b.example', 'x', '2026-11-24 14:00:00')"),
])
@pytest.mark.parametrize("is_meanwhile", [False, True])
def test_what_is_verified_used_or_awaited_stays(owned, change, is_meanwhile):
    owned.table("destinations", [destination(owned, id, days=90, told=5) for id in (1, 2)])
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
    assert owned.run(JOB, remove_after="3d", yes=True) == {"tokens": 0, "notices": 1, "removed": 0}


# Dry runs, kills

def test_one_whose_owner_no_mail_can_reach_stays(owned):       # never without a notice
    owned.db.execute("UPDATE {users} SET email = 'no address' WHERE id = 1")
    owned.table("destinations", [destination(owned, 1, days=40)])
    for _ in range(3):
        assert owned.run(JOB)["removed"] == 0
        owned.now = owned.ahead(days=20)
    assert owned.ids("destinations") == [1]
