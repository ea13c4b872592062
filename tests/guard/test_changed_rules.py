"""A retention that became shorter by mistake deletes no more than before.  # R80

The limits are literal: more than ten rows and a fifth of the table, that would be deleted only
because of the change.
"""
from __future__ import annotations

import json

import pytest

from tests.support import databases

JOB = "purge_message_logs"              # keep = 90d
TRUSTED = {"max_clock_jump": "off"}     # where cron comes once a day


@pytest.fixture(autouse=True)
def no_rule_is_known(bench):
    """As on the first day."""
    bench.knows_rules = False


@pytest.fixture
def known(bench):
    """The job has run on an empty table."""
    bench.run(JOB)
    return bench


def logs(bench, number: int, days: float, user_id: int = 1) -> None:
    databases.bulk(bench.db, "message_logs", ["user_id", "direction", "status", "created_at"],
                   [(user_id, "forward", "delivered", bench.ago(days=days))] * number)


def set_keep(bench, keep: str) -> None:
    bench.config(**{JOB: {"keep": keep}})


def incidents(bench) -> list[dict]:
    found = bench.json("status", code=None)["incidents"]
    return [each for each in found if each["kind"] == "guard"]


def test_the_others_go_and_an_incident_names_both_values_until_the_old_one_is_back(known):
    logs(known, 20, days=30)
    logs(known, 3, days=91)
    set_keep(known, "9d")
    assert known.run(JOB, dry_run=True) == {"deleted": 3, "held": 20}          # R11
    assert "20 of 23 rows" in known.samples[0]["note"]
    assert known.run(JOB) == {"deleted": 3, "held": 20}
    assert known.result["status"] == "ok"
    incident, = incidents(known)
    assert incident["key"] == "guard:purge_message_logs:rule:message_logs"
    for part in ("20 of 23 rows", "keep = 9d (was 90d)", "`jobs.py purge_message_logs --yes`"):
        assert part in incident["subject"] + incident["what"]
    set_keep(known, "90d")
    assert known.run(JOB) == {"deleted": 0}
    assert incidents(known) == []


@pytest.mark.parametrize("damaged", [
    {"held": {"rule:message_logs": 5}}, {"held": {"rule:message_logs": {"count": 20}}},
    {"confirmed": {"rule:message_logs": "20"}}, {"options": {"keep": "9d"}}])
def test_what_cannot_be_read_neither_stops_nor_releases_anything(known, damaged):      # R67
    logs(known, 20, days=30)
    known.db.execute("UPDATE {job_state} SET last_options = :text", text=json.dumps(damaged))
    assert incidents(known) == []
    set_keep(known, "9d")
    assert known.run(JOB, yes=True) == {"deleted": 0, "held": 20}


def test_yes_takes_the_new_value_once_and_for_good(known):
    logs(known, 20, days=30)
    set_keep(known, "9d")
    known.run(JOB)
    assert known.run(JOB, yes=True, limit=5)["deleted"] + known.run(JOB)["held"] == 20
    assert known.run(JOB, yes=True) == {"deleted": 15}
    logs(known, 20, days=30)
    assert known.run(JOB) == {"deleted": 20}
    assert incidents(known) == []
    set_keep(known, "1d")
    for more, held in ((20, 20), (11, 31)):             # nobody was told of that, or of so many
        logs(known, more, days=5)
        assert known.run(JOB, yes=True)["held"] == held


@pytest.mark.parametrize("old, young, is_held", [(10, 0, False), (11, 0, True), (11, 44, False),
                                                 (12, 44, True)])
def test_ten_rows_and_a_fifth_of_the_table_are_no_mistake(known, old, young, is_held):
    logs(known, old, days=30)
    logs(known, young, days=1)
    set_keep(known, "9d")
    assert known.run(JOB) == ({"deleted": 0, "held": old} if is_held else {"deleted": old})


def test_what_was_never_known_or_switched_off_counts_as_for_ever(bench):
    logs(bench, 20, days=91)
    assert bench.run(JOB) == {"deleted": 0, "held": 20}
    bench.run(JOB, yes=True)
    for way in ({"enabled": "no"}, {"keep": "off"}):
        bench.config(core=TRUSTED, **{JOB: {"enabled": "yes", "keep": "90d", **way}})
        bench.tick()
        bench.now = bench.ahead(days=1)
        bench.tick()
        logs(bench, 20, days=91)
        bench.config(core=TRUSTED, **{JOB: {"enabled": "yes", "keep": "90d"}})
        bench.now = bench.ahead(hours=23)
        assert bench.run(JOB)["held"] == 20
        assert bench.run(JOB, yes=True)["deleted"] == 20


def test_a_backlog_under_the_same_rule_goes(known):                            # R79
    logs(known, 300, days=1)
    known.now = known.ahead(days=365)
    assert known.run(JOB) == {"deleted": 300}


def test_set_is_for_one_run(known):
    logs(known, 20, days=30)
    known.run(JOB, keep="200d")
    logs(known, 20, days=100)
    assert known.run(JOB) == {"deleted": 20}
    assert known.run(JOB, keep="9d")["held"] == 20
    assert known.run(JOB, keep="9d", yes=True) == {"deleted": 20}
    logs(known, 20, days=30)
    assert known.run(JOB, keep="9d")["held"] == 20


def test_a_second_host_with_a_shorter_rule_deletes_no_more(known):
    other = known.second_host()
    other.config(**{JOB: {"keep": "9d"}})
    logs(known, 20, days=30)
    assert other.run(JOB) == {"deleted": 0, "held": 20}
    assert known.run(JOB) == {"deleted": 0}


def test_resume_confirms_a_job_that_never_ran(bench):
    logs(bench, 20, days=91)
    bench.command("pause", JOB)
    assert "20 held; its first run also does what is held" in bench.command("resume", JOB)
    assert bench.run(JOB) == {"deleted": 20}


def test_twice_the_limit_is_twice_the_one_that_counts(bench):                  # R83
    """What its owner could not be warned of is deleted then; a held `keep` does not hasten it."""
    bench.run("expire_overflow_hold")                   # keep = 30d
    bench.table("notifications", [{"id": 99, "status": "failed", "finished_at": bench.now}])
    bench.table("overflow_hold", [
        {"held_at": bench.ago(days=days), "warned_at": bench.ago(days=1), "warning_id": 99}
        for days in (61, 31, *[15] * 11)])
    bench.config(expire_overflow_hold={"keep": "10d"})
    counts = bench.run("expire_overflow_hold")
    assert (counts["held"], counts["deleted"]) == (11, 1)
    assert bench.ids("overflow_hold") == [*range(2, 14)]


def users(bench, number: int, days) -> None:
    bench.table("users", [{"email": f"{days}-{at}@home.example", "log_retention_days": days}
                          for at in range(number)])


def test_own_retentions_count_beyond_those_that_were_confirmed(known):
    users(known, 4, 5)
    logs(known, 20, days=30, user_id=known.db.value("SELECT MAX(id) FROM {users}"))
    logs(known, 2, days=91)
    assert known.run(JOB) == {"deleted": 2, "held": 4}
    known.run(JOB, yes=True)
    assert known.ids("message_logs") == []
    for _ in range(2):                          # one after the other is none
        users(known, 3, 5)
        assert "held" not in known.run(JOB)
