"""Owners are notified of what is due, each once, all of it in one notice, however late, and through
any kill."""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.features.notifications import reminders
from jobs_lib.features.notifications.reminders import Reminder, remind
from jobs_lib.job import declare
from tests.support.databases import bulk

WEEK = timedelta(days=7)


def due(ctx):
    return "reminded_at IS NULL AND created_at < :before", {"before": ctx.now - WEEK}


def values(ctx, user, rows):
    return {"count": len(rows), "many": len(rows) > 1, "first_email": rows[0]["email"],
            "destinations": [{"email": row["email"], "added": row["created_at"]} for row in rows]}


PLAIN = Reminder(kind="destination_reminder", table="destinations", age="created_at",
                 columns=("email",), due=due, notified=("reminded_at",), values=values,
                 key=lambda ctx, user_id, rows: f"test:{rows[0]['id']}")
DAILY = PLAIN._replace(daily=True, key=lambda ctx, user_id,
                       rows: f"test:{user_id}:{ctx.now:%Y-%m-%d}")


def job(reminder=PLAIN):
    """A job that only reminds."""
    @declare(schedule="0 0 * * *", sections=("personas",), idempotency="", sample=("id", "email"))
    def made(ctx):
        remind(ctx, reminder)
    return made._replace(name="remind_test")


@pytest.fixture
def owned(bench):
    """The bench with an owner of each status."""
    bench.table("users", [{"id": 1, "email": "jo@home.example", "name": "Jo"},
                          {"id": 2, "email": "su@home.example", "status": "suspended"},
                          {"id": 3, "email": "de@home.example", "status": "deleted"},
                          {"id": 4, "email": "ma@home.example"}])
    return bench


def row(bench, id: int, user_id: int = 1, days: float = 8, **more) -> dict:
    return {"id": id, "user_id": user_id, "email": f"d{id}@far.example",
            "created_at": bench.ago(days=days), **more}


def told(bench) -> list[int]:
    return bench.ids("destinations", "reminded_at IS NOT NULL")


def listed(bench) -> list[list[int]]:
    """The rows that each notice lists."""
    return [[int(word[1:].partition("@")[0]) for word in (notice["body_text"] or "").split()
             if word.startswith("d") and "@far" in word] for notice in bench.rows("notifications")]


def many_owners(bench, number: int, rows: int = 1) -> None:
    bulk(bench.db, "users", ["id", "email", "created_at"],
         [(id, f"u{id}@home.example", bench.now) for id in range(1, number + 1)])
    bulk(bench.db, "destinations", ["id", "user_id", "email", "created_at"],
         [(id, (id - 1) // rows + 1, f"d{id}@far.example", bench.ago(days=8))
          for id in range(1, number * rows + 1)])


# Who is notified of what

def test_all_that_an_owner_is_to_know_is_in_one_notice_oldest_first(owned):
    owned.table("destinations", [row(owned, 1, days=8), row(owned, 2, 4), row(owned, 3, days=9),
                                 row(owned, 4, days=7)])
    assert owned.run(job()) == {"notices": 2}
    assert listed(owned) == [[3, 1], [2]]
    assert [notice["dedupe_key"] for notice in owned.rows("notifications")] == ["test:3", "test:2"]
    assert told(owned) == [1, 2, 3]


@pytest.mark.parametrize("statuses, ids", [(("active",), [1]), (("active", "suspended"), [1, 2])])
def test_which_owners_are_told_is_said_by_their_status(owned, statuses, ids):
    owned.table("destinations", [row(owned, 1), row(owned, 2, 2), row(owned, 3, 3),
                                 row(owned, 99, 99)])
    assert owned.run(job(PLAIN._replace(statuses=statuses))) == {"notices": len(ids)}
    assert told(owned) == ids


def test_who_has_no_usable_address_is_marked_and_logged_and_stands_in_nobodys_way(owned):      # R23
    owned.db.execute("UPDATE {users} SET email = 'no address' WHERE id = 1")
    owned.table("destinations", [row(owned, 1, days=9), row(owned, 2, 4)])
    assert owned.run(job(), dry_run=True) == {"notices": 1}
    assert owned.run(job()) == {"notices": 1}
    assert told(owned) == [1, 2]
    assert [(event["level"], event["user_id"]) for event in owned.events("remind_test")
            if event["event"] == "owner cannot be notified"] == [("warning", 1)]


def test_more_owners_than_a_page_are_all_notified(bench, monkeypatch):
    monkeypatch.setattr(reminders, "PAGE", 7)
    many_owners(bench, 30, rows=3)
    assert bench.run(job()) == {"notices": 30}
    assert len(told(bench)) == 90


def test_a_notice_lists_so_many_rows_and_the_next_the_others(owned):
    owned.table("destinations", [row(owned, id, days=20 - id) for id in range(1, 6)])
    few = PLAIN._replace(most=2)
    assert [owned.run(job(few))["notices"] for _ in range(4)] == [1, 1, 1, 0]
    assert listed(owned) == [[1, 2], [3, 4], [5]]


def test_what_sql_cannot_judge_hides_nothing_behind_it(owned):
    # the first rows of the owner are not wanted, more of them than a notice lists
    owned.table("destinations", [row(owned, id, days=30 - id) for id in range(1, 10)])
    odd = PLAIN._replace(most=3, wanted=lambda ctx, row: row["id"] in (7, 9))
    assert owned.run(job(odd)) == {"notices": 1}
    assert listed(owned) == [[7, 9]]
    assert owned.run(job(odd)) == {"notices": 0}


# The key

def test_a_key_that_was_used_marks_its_row_and_the_others_are_notified(owned):
    owned.table("destinations", [row(owned, 1, days=12), row(owned, 2, days=11),
                                 row(owned, 3, days=10)])
    owned.table("notifications", [{"kind": "k", "dedupe_key": f"test:{id}"} for id in (1, 2)])
    assert owned.run(job(), dry_run=True) == {"notices": 1}
    assert owned.run(job()) == {"notices": 1}
    assert listed(owned)[2:] == [[3]]
    assert told(owned) == [1, 2, 3]


def test_a_daily_notice_waits_for_tomorrow(owned):
    owned.table("destinations", [row(owned, 1)])
    assert owned.run(job(DAILY)) == {"notices": 1}
    owned.table("destinations", [row(owned, 2), row(owned, 3)])
    assert owned.run(job(DAILY)) == {"notices": 0}
    assert told(owned) == [1]
    owned.now = owned.ahead(days=1)
    assert owned.run(job(DAILY)) == {"notices": 1}
    assert told(owned) == [1, 2, 3]


# How a run goes

def test_a_row_that_changes_after_its_owner_was_found_is_judged_again(owned):
    owned.table("destinations", [row(owned, 1), row(owned, 2, 4)])
    other = connect(owned.url)

    def change(sql, _):
        if sql.startswith(("BEGIN", "START")):
            other.execute("UPDATE {destinations} SET reminded_at = created_at WHERE id = 1")
            other.execute("UPDATE {users} SET status = 'deleted' WHERE id = 4")
    owned.on_statement = change
    assert owned.run(job()) == {"notices": 0}
    other.close()
    assert told(owned) == [1]


# Kills

@pytest.mark.parametrize(("job", "table", "row"), [
    ("expire_overflow_hold", "overflow_hold", {"alias_id": 1, "held_at": {"days": 29, "hours": 5}}),
    ("expire_aliases", "aliases", {"expires_at": {"days": -1}}),
])
def test_the_rows_of_an_owner_are_found_by_the_owner(bench, job, table, row):      # R15
    given = {column: bench.ago(**value) if isinstance(value, dict) else value for column,
             value in row.items()}
    bench.table("users", [{"id": 7, "email": "jo@home.example", "status": "active"}])
    bench.table(table, [{"user_id": 7, **given}])
    heard = {}
    bench.on_statement = lambda sql, values: heard.setdefault(sql, values)
    assert bench.run(job)["notices"] == 1
    asked = [sql for sql in heard if f"FROM {{{table}}} WHERE user_id = :user_id" in sql]
    assert len(asked) == 1
    if bench.db.dialect.name == "sqlite":           # MariaDB chooses by what is in the table
        assert f"{table}_user" in str(bench.db.explain(asked[0], **heard[asked[0]]))


def test_an_end_that_is_no_time_is_an_end_without_a_notice(bench):      # R23, R67
    bench.table("users", [{"id": id, "email": f"u{id}@home.example", "status": "active"}
                          for id in (1, 2)])
    bench.table("aliases", [{"id": 1, "user_id": 1, "expires_at": bench.ago(days=1)},
                            {"id": 2, "user_id": 2, "expires_at": bench.ago(hours=1)}])
    if bench.db.dialect.name == "sqlite":               # MariaDB takes only times there
        bench.db.execute("UPDATE {aliases} SET expires_at = '2026-11-20' WHERE id = 1")
        assert bench.run("expire_aliases") == {"expired": 2, "notices": 1}
    else:
        assert bench.run("expire_aliases") == {"expired": 2, "notices": 2}


@pytest.mark.parametrize("never", ["0000-00-00 00:00:00", ""])
def test_no_end_is_none_however_an_app_writes_it(bench, never):         # R67
    bench.table("users", [{"id": 1, "email": "u1@home.example"}])
    bench.table("aliases", [{"id": 1, "user_id": 1}])
    if bench.db.dialect.name != "sqlite":
        bench.db.execute("SET SESSION sql_mode = ''")
    bench.db.execute("UPDATE {aliases} SET expires_at = :never", never=never)
    assert bench.run("expire_aliases") == {"expired": 0, "notices": 0}


@pytest.mark.parametrize("error", [AttributeError, TypeError, ValueError, KeyError])
def test_a_mistake_of_ours_is_no_bad_row_and_the_others_are_notified(owned, error):        # R73
    def values(ctx, user, rows):
        if user["id"] == 1:
            raise error("of ours")
        return PLAIN.values(ctx, user, rows)
    owned.table("destinations", [row(owned, 1), row(owned, 2, 4)])
    said = owned.fails(job(PLAIN._replace(values=values)))
    assert f"{error.__name__} in test_reminders.py line" in said
    assert owned.result["counts"] == {"notices": 1, "defects": 1}
    assert told(owned) == [2]


def test_a_row_that_cannot_be_read_is_counted_and_its_owners_others_are_notified(owned):    # R67
    owned.table("destinations", [row(owned, 1), row(owned, 2)])
    if owned.db.dialect.name == "sqlite":               # MariaDB takes only times there
        owned.db.execute("UPDATE {destinations} SET created_at = '2026-02-30 10:00:00' "
                         "WHERE id = 1")
        assert owned.run(job()) == {"notices": 1, "invalid": 1}
        assert told(owned) == [2]
    else:
        assert owned.run(job()) == {"notices": 1}
