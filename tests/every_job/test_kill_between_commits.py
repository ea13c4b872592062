"""Killed before and after each commit of a run, or each statement where one commit stores it all, a
job leaves what is stored whole, and the next run ends as one that nobody has killed."""
from __future__ import annotations

import json
import signal
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import count

import pytest

from tests.support.db import Client
from tests.support.shell import Shell, in_job

pytestmark = pytest.mark.slow
TODAY = datetime.now(timezone.utc).replace(microsecond=0)
FEWEST = 3                              # points that a run here has


def ago(**span) -> datetime:
    return TODAY - timedelta(**span)


@pytest.fixture
def service(tmp_path, engine_url):
    made = Shell(tmp_path, engine_url)
    yield made
    made.close()


@pytest.fixture
def db(engine_url):
    made = Client(engine_url)
    yield made
    made.close()


def each_kill(service, job: str, side: str, kind: str = "commit"):
    """Runs of a job, each killed at another point, until one ends by itself."""
    for number in count(1):
        code = service(job, kill=in_job(job, side, kind, number)).code
        if code != -signal.SIGKILL:
            assert (code, number > FEWEST) == (0, True)
            return
        yield


def start_again(db, *tables: str) -> None:
    for table in tables:
        db.execute(f"DELETE FROM {{{table}}}")
    for user in (1, 2, 3):
        db.insert("users", id=user, email=f"u{user}@home.example", status="active",
                  created_at=ago(days=300), billing_anchor=ago(days=5).date(), email_limit=100)


# expire_aliases

def aliases(db) -> None:
    start_again(db, "users", "aliases", "audit_logs", "notifications")
    for user in (1, 2, 3):
        for ends in (ago(days=1), ago(hours=2), ago(days=-1)):
            db.insert("aliases", user_id=user, active=1, expires_at=ends, created_at=ago(days=9),
                      address=f"{user}-{ends:%d%H}@alias.example")


def alias_facts(db) -> dict:
    """{address: what is stored of it}: the number of its audit rows, of its notices by kind."""
    audited = Counter(json.loads(row["details"])["alias_id"] for row in db.query(
        "SELECT details FROM {audit_logs} WHERE event = 'alias.expired'"))
    notices = db.query("SELECT user_id, kind, body_text FROM {notifications}")
    return {row["address"]: (
        row["active"], audited[row["id"]], row["expiry_notified_at"] is not None,
        sorted(notice["kind"] for notice in notices if notice["user_id"] == row["user_id"]
               and row["address"] in notice["body_text"]))
        for row in db.query("SELECT * FROM {aliases}")}


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_alias_is_switched_off_recorded_and_announced_together(service, db, side):       # R2
    untouched, ended, announced = ((1, 0, False, []), (0, 1, False, ["alias_expired"]),
                                   (1, 0, True, ["alias_expiring"]))
    aliases(db)
    for _ in each_kill(service, "expire_aliases", side):
        assert all(facts in (untouched, ended, announced) for facts in alias_facts(db).values())
        service.run("expire_aliases")
        assert Counter(map(str, alias_facts(db).values())) == {str(ended): 6, str(announced): 3}
        aliases(db)


# check_usage_thresholds

def usage(db) -> None:
    start_again(db, "users", "usage_daily", "usage_events", "notifications")
    for user, number in ((1, 85), (2, 100), (3, 59)):
        db.insert("usage_daily", user_id=user, day=ago(days=1).date(), email_count=number,
                  bytes_used=0)


def thresholds(db) -> list:
    return [(row["user_id"], row["metric"], row["threshold"]) for row in db.query(
        "SELECT * FROM {usage_events} ORDER BY user_id, threshold")]


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_threshold_is_recorded_with_the_one_notice_of_it(service, db, side):       # R2
    whole = {1: [60, 70, 80], 2: [60, 70, 80, 100], 3: []}
    usage(db)
    for _ in each_kill(service, "check_usage_thresholds", side, "statement"):
        for end in (False, True):
            events = thresholds(db)
            told = Counter(row["user_id"] for row in db.query("SELECT * FROM {notifications}"))
            for user, right in whole.items():
                found = [each[2] for each in events if each[0] == user]
                assert found == right or (found == [] and not end)
                assert told[user] == bool(found)
            if not end:
                service.run("check_usage_thresholds")
        usage(db)


# rollup_usage

def log(db) -> None:
    start_again(db, "users", "message_logs", "usage_daily", "usage_weekly")
    for day in range(9):
        for user in (1, 2):
            db.insert("message_logs", user_id=user, direction="send", status="delivered",
                      bytes_used=100 * user + day, created_at=ago(days=day))


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_day_is_written_with_its_week(service, db, side):       # R2 R58
    right = {(user, str(ago(days=day).date())): (1, 100 * user + day)
             for day in range(9) for user in (1, 2)}
    log(db)
    for _ in each_kill(service, "rollup_usage", side):
        for end in (False, True):
            days = {(row["user_id"], row["day"]): (row["email_count"], row["bytes_used"])
                    for row in db.query("SELECT * FROM {usage_daily}")}
            assert days.items() <= right.items()
            weeks: dict = {}
            for (user, day), (number, size) in days.items():
                monday = datetime.fromisoformat(day)
                monday -= timedelta(days=monday.weekday())
                before = weeks.get((user, str(monday.date())), (0, 0))
                weeks[user, str(monday.date())] = before[0] + number, before[1] + size
            assert {(row["user_id"], row["week_start"]): (row["email_count"], row["bytes_used"])
                    for row in db.query("SELECT * FROM {usage_weekly}")} == weeks
            if end:
                assert days == right
            else:
                service.run("rollup_usage")
        log(db)
