"""Old log rows go and their totals stay, by each user's own retention; headers go with them."""
from __future__ import annotations

import contextlib
import random

import pytest

from tests.support.databases import added_up, bulk
from tests.support.product import Busy, connect
from tests.support.require import on_mariadb

JOB = "purge_message_logs"
COLUMNS = ["id", "user_id", "alias_id", "direction", "status", "bytes_used", "created_at"]


def log(id: int, created_at, user_id: int = 1, **values) -> dict:
    return {"id": id, "user_id": user_id, "direction": "forward", "status": "delivered",
            "created_at": created_at, **values}


def totals(db) -> list[tuple]:
    """What was purged and is logged."""
    return [tuple(row.values()) for row in db.query(
        "SELECT user_id, alias_id, day, direction, status, email_count, bytes_used "
        f"FROM {added_up(db)}"
        " ORDER BY 1, 2, 3, 4, 5")]


def random_rows(bench, chance: random.Random, number: int) -> None:
    rows = [(None, chance.randint(1, 4), chance.choice((None, 7, 8)),
             chance.choice(("forward", "reply", "send")), chance.choice(("delivered", "spam")),
             chance.randint(0, 2 ** 40),
             bench.ago(days=chance.randint(0, 200), seconds=chance.randint(0, 86_400)))
            for _ in range(number)]
    bulk(bench.db, "message_logs", COLUMNS, rows)


@on_mariadb
def test_words_of_an_apps_own_table_fit_into_the_totals(bench):      # R58 R67
    bench.db.execute("ALTER TABLE {message_logs} MODIFY direction VARCHAR(200) CHARACTER "
                     "SET utf8mb4 NULL,"
                     " MODIFY status VARCHAR(200) CHARACTER SET utf8mb4 NULL")
    old, day = bench.ago(days=91), bench.ago(days=91).date().isoformat()
    bench.table("message_logs", [log(1, old, direction="x" * 100, status="zugestellt \u00fc"),
                                 log(2, old, direction=None, status=None), log(3, old)])
    assert bench.run(JOB) == {"deleted": 3}
    assert [(row["day"], row["direction"], row["status"]) for row in bench.db.query(
        "SELECT * FROM {message_stats} ORDER BY direction")] == [
        (day, "", ""), (day, "forward", "delivered"), (day, "x" * 64, "?")]


@pytest.mark.parametrize("seed", range(2))
def test_the_sum_is_the_same_before_and_after_any_purge(bench, seed):       # R58
    chance = random.Random(seed)
    bench.table("users", [{"id": user, "log_retention_days": days}
                          for user, days in ((1, None), (2, 5), (3, 30), (4, 200))])
    random_rows(bench, chance, 1500)
    before = totals(bench.db)
    for keep in ("150d", "90d", "30h"):
        bench.run(JOB, keep=keep, yes=True, limit=chance.randint(100, 700))
        assert totals(bench.db) == before
        bench.run(JOB, keep=keep, yes=True)
        assert totals(bench.db) == before
    oldest = bench.db.value("SELECT MIN(created_at) FROM {message_logs}")
    assert oldest >= str(bench.ago(hours=30))[:19]


def test_the_headers_of_what_goes_go_too_and_no_others(bench):
    bulk(bench.db, "message_logs", COLUMNS,
         [(id, 1, None, "forward", "delivered", 1, bench.ago(days=91 if id % 3 else 1))
          for id in range(1, 3001)])
    # two of the first, and some whose row is not to be seen yet
    bulk(bench.db, "header_snapshots", ["id", "message_log_id", "user_id"],
         [(4000, 1, 1), *((id, id, 1) for id in range(1, 3301))])
    assert bench.run(JOB) == {"deleted": 2000}
    assert bench.ids("header_snapshots") == [*range(3, 3001, 3), *range(3001, 3301)]


@pytest.mark.parametrize("days, kept", [(None, 90), (10, 10), (3, 3), (2, 3), (0, 3), (90, 90),
                                        (91, 90), (-2 ** 31, 3), (2 ** 31 - 1, 90)])
def test_a_user_may_choose_a_shorter_time_but_not_below_three_days(bench, days, kept):
    bench.table("users", [{"id": 1, "log_retention_days": days}, {"id": 2}])
    bench.table("message_logs", [log(1, bench.ago(days=kept, seconds=1)),
                                 log(2, bench.ago(days=kept)),
                                 log(3, bench.ago(days=89, hours=23), user_id=2)])
    before = totals(bench.db)
    assert bench.run(JOB, keep="off") == {"deleted": 0}
    assert bench.run(JOB) == {"deleted": 1}
    assert bench.ids("message_logs") == [2, 3]
    assert totals(bench.db) == before


@pytest.mark.slow
@pytest.mark.parametrize("comes, goes", [
    ("INSERT INTO {message_stats}", None), ("DELETE FROM {header_snapshots}", None),
    ("INSERT INTO {message_stats}", "DELETE FROM {message_logs}")])
def test_a_row_that_comes_in_mid_batch_is_counted_once_or_not_at_all(bench, comes, goes):
    # R58: on SQLite nobody else can write meanwhile; on MariaDB a row that was added up is locked
    bulk(bench.db, "message_logs", COLUMNS,
         [(id, 1, None, "forward", "delivered", 1, bench.ago(days=91)) for id in range(2, 2001, 2)])
    other, tried, stored = connect(bench.url, timeout=1), [], []

    def meddle(sql, _):
        if not tried and sql.startswith(comes):
            attempt(lambda: other.insert("message_logs", **log(3, bench.ago(days=91))))
        elif len(tried) == 1 and goes and sql.startswith(goes):
            attempt(lambda: other.execute("DELETE FROM {message_logs} WHERE id = 3"))

    def attempt(step):
        tried.append(step)
        with contextlib.suppress(Busy):
            step()
            stored.append(step)
    bench.on_statement = meddle
    bench.run(JOB)
    other.close()
    assert len(tried) == (2 if goes else 1)
    assert sum(row["email_count"] for row in bench.rows("message_stats")) == 1000 + (len(stored)
                                                                                     == 1)
    assert bench.ids("message_logs") == []
