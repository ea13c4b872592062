"""Aliases end when they should, each with one audit row; owners are told once before and after."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

JOB = "expire_aliases"
NONE = {"expired": 0, "notices": 0}


@pytest.fixture
def owned(bench):
    """The bench with three owners."""
    bench.table("users", [{"id": 1, "email": "jo@home.example", "name": "Jo"},
                          {"id": 2, "email": "su@home.example", "status": "suspended"},
                          {"id": 3, "email": "de@home.example", "status": "deleted"}])
    return bench


def alias(id: int, expires_at, user_id: int = 1, **values) -> dict:
    return {"id": id, "user_id": user_id, "address": f"a{id}@alias.example",
            "expires_at": expires_at, **values}


def audited(bench) -> list[int]:
    """The aliases that have an audit row, one for each."""
    return sorted(json.loads(row["details"])["alias_id"] for row in bench.rows("audit_logs"))


def told(bench) -> list[str]:
    """The kind and first row of each notice: `alias-expired:2`."""
    return [":".join(row["dedupe_key"].split(":")[:2]) for row in bench.rows("notifications")]


def test_an_active_alias_past_its_end_is_deactivated(owned):
    owned.table("aliases", [
        alias(1, owned.ago(seconds=1)),
        alias(2, owned.now),                                    # exactly at the limit stays
        alias(3, owned.ahead(days=9)),
        alias(4, None),
        alias(5, owned.ago(days=9), active=0)])
    assert owned.run(JOB, warn_before="off", notify_expired="no") == {"expired": 1, "notices": 0}
    assert owned.ids("aliases", "active = 1") == [2, 3, 4]
    [row] = owned.rows("audit_logs")
    assert (row["user_id"], row["actor"], row["event"], row["severity"]) == (
        1, "jobs", "alias.expired", "info")
    assert json.loads(row["details"]) == {"alias_id": 1, "address": "a1@alias.example",
                                          "expires_at": "2026-11-24 14:30:04"}


def test_owners_who_are_not_active_or_gone_hear_nothing_and_their_aliases_end_all_the_same(owned):
    owned.table("aliases", [alias(id, end, owner) for id, (end, owner) in enumerate(
        ((end, owner) for end in (owned.ago(days=1), owned.ahead(days=1)) for owner in (2, 3, 99)),
        1)])
    assert owned.run(JOB) == {"expired": 3, "notices": 0}
    assert (owned.ids("aliases", "active = 1"), audited(owned)) == ([4, 5, 6], [1, 2, 3])


def test_an_alias_whose_end_is_postponed_meanwhile_stays_on(owned):
    owned.table("aliases", [alias(1, owned.ago(days=1)), alias(2, owned.ago(days=1))])
    # after the owners were found, before the transaction
    owned.meanwhile("BEGIN", "UPDATE {aliases} SET expires_at = '2030-01-01 00:00:00' WHERE id = 1")
    assert owned.run(JOB) == {"expired": 1, "notices": 1}
    assert (owned.ids("aliases", "active = 1"), audited(owned)) == ([1], [2])


def test_of_many_at_once_each_counts_once_and_their_owner_hears_once(owned):    # R11
    owned.bulk("aliases", [alias(id, owned.ago(hours=1) if id <= 500 else owned.ahead(
        days=60 if id <= 3000 else 1)) for id in range(1, 4001)])       # else the guard holds them
    assert owned.run(JOB, dry_run=True, limit=2)["expired"] == 2
    for dry_run in (True, False):
        assert owned.run(JOB, dry_run=dry_run) == {"expired": 500, "notices": 2}
    assert owned.result["status"] == "partial"      # there may be more: the next tick looks
    assert (owned.run(JOB)["expired"], owned.result["status"]) == (0, "ok")


def test_three_days_before_its_end_an_alias_is_announced_once(owned):
    owned.table("aliases", [
        alias(1, owned.ahead(days=2, hours=23)),
        alias(2, owned.now),
        alias(3, owned.ahead(days=3)),                          # exactly at the limit: not yet
        alias(4, owned.ahead(days=1), active=0),
        alias(5, owned.ahead(days=1), expiry_notified_at=owned.ago(hours=1))])
    assert owned.run(JOB) == {"expired": 0, "notices": 1}
    assert told(owned) == ["alias-expiring:2"]
    assert owned.ids("aliases", "expiry_notified_at = '2026-11-24 14:30:05'") == [1, 2]
    assert owned.run(JOB) == NONE
    assert owned.run(JOB, warn_before="7d") == {"expired": 0, "notices": 1}
    assert owned.ids("aliases", "expiry_notified_at = '2026-11-24 14:30:05'") == [1, 2, 3]


@pytest.mark.parametrize("later", [timedelta(days=1), timedelta(days=60)])
def test_an_alias_whose_end_was_postponed_is_announced_again(owned, later):
    end = owned.ahead(days=2, hours=23)
    owned.table("aliases", [alias(1, end)])
    owned.run(JOB)
    owned.db.execute("UPDATE {aliases} SET expires_at = :end", end=end + later)
    for before, notices in ((75, 0), (72, 0), (71, 1), (24, 0), (0, 0), (-1, 1), (-24, 0)):
        owned.now = end + later - timedelta(hours=before)
        assert owned.run(JOB)["notices"] == notices, before
    assert told(owned)[1:] == ["alias-expiring:1", "alias-expired:1"]


def test_a_late_run_still_announces_and_all_that_has_ended_is_in_one_notice(owned):       # R7
    owned.table("aliases", [alias(1, owned.ahead(minutes=5)), alias(2, owned.ago(hours=1)),
                            alias(3, owned.ago(hours=2))])
    assert owned.run(JOB) == {"expired": 2, "notices": 2}
    ended, ends = owned.rows("notifications")
    assert ended["dedupe_key"] == "alias-expired:3:2026-11-24 12:30:05"
    assert ended["body_text"].index("a3@alias") < ended["body_text"].index("a2@alias")
    assert (told(owned)[1], "a1@alias" in ends["body_text"]) == ("alias-expiring:1", True)


def test_many_ends_at_once_wait_and_what_ends_soon_is_announced(owned):        # R79
    owned.table("aliases", [alias(id, owned.ago(days=30) if id < 8 else owned.ahead(days=1))
                            for id in range(1, 31)])
    assert owned.run(JOB) == {"expired": 0, "notices": 1, "held": 7}
    assert told(owned) == ["alias-expiring:8"]
    assert owned.run(JOB, yes=True)["expired"] == 7


def test_of_an_end_that_is_a_week_old_nobody_is_told_any_more(owned):      # as on a first run
    owned.table("aliases", [alias(1, owned.ago(days=1000)), alias(2, owned.ago(days=7, seconds=1)),
                            alias(3, owned.ago(days=7))])
    for dry_run in (True, False):
        assert owned.run(JOB, dry_run=dry_run) == {"expired": 3, "notices": 1}
    assert (audited(owned), told(owned)) == ([1, 2, 3], ["alias-expired:3"])


@pytest.mark.parametrize("never", ["0000-00-00 00:00:00", "2000-12-31 23:59:59"])
def test_a_time_before_2001_is_no_end(owned, never):         # R67, R79
    owned.table("aliases", [alias(1, None)])
    if owned.db.dialect.name != "sqlite":
        owned.db.execute("SET SESSION sql_mode = ''")
    owned.db.execute("UPDATE {aliases} SET expires_at = :never", never=never)
    assert owned.run(JOB) == {"expired": 0, "notices": 0, "invalid": 1}
