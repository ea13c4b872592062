"""Where keys are text: by which ways rows are deleted, and that none is deleted twice or left."""
from __future__ import annotations

import pytest

from jobs_lib.database.connection import connect
from tests.engines.test_purge import AUDIT, LOGS, keeping, logs
from tests.support import keyed
from tests.support.bench import Bench
from tests.support.databases import bulk
from tests.support.engines import on_mariadb, on_sqlite


@pytest.fixture
def text_bench(tmp_path, engine_url, request):
    """A Bench whose app has UUIDs, on each engine."""
    url = f"sqlite:///{tmp_path}/text.db" if engine_url.startswith("sqlite") else (
        request.getfixturevalue("mariadb").database())
    made = Bench(tmp_path, keyed.make(url, keyed.UUIDS), keys=keyed.UUIDS)
    yield made
    made.db.close()
    if not url.startswith("sqlite"):
        request.getfixturevalue("mariadb").drop(url)


def audits(bench, moments: dict) -> None:
    """Audit rows: {number: days ago}."""
    bulk(bench.db, "audit_logs", ["id", "actor", "event", "severity", "created_at"],
         [(id, "a", "b", "info", bench.ago(days=days)) for id, days in moments.items()])


def ways(bench) -> list[str]:
    """How each DELETE of the last run named its rows."""
    found = []
    for sql in bench.statements:
        if sql.startswith("DELETE FROM {audit_logs}"):
            where = sql.partition(" WHERE ")[2].partition(" AND CASE")[0]
            found.append(next(name for name, start in (
                ("numbers", "_rowid_ BETWEEN"), ("listed numbers", "_rowid_ IN"),
                ("keys", "id BETWEEN"), ("keys", "id >="), ("times", "created_at >="),
                ("listed keys", "id IN")) if where.startswith(start)))
    return found


OLD = {number: 400 - number / 10_000 for number in range(1, 3001)}


@on_sqlite
def test_sqlite_goes_by_its_own_numbers(text_bench):                  # R16 R75
    audits(text_bench, {**OLD, 5000: 1})
    assert text_bench.run(AUDIT) == {"deleted": 3000}
    assert set(ways(text_bench)) == {"numbers"}
    assert text_bench.ids("audit_logs") == [5000]


@on_sqlite
def test_scattered_rows_go_by_lists_of_those_numbers(text_bench):     # R75
    audits(text_bench, {number: 400 if number % 10 == 0 else 1 for number in range(1, 20_001)})
    assert text_bench.run(AUDIT) == {"deleted": 2000}
    assert set(ways(text_bench)) == {"listed numbers"}
    assert len(text_bench.ids("audit_logs")) == 18_000


@on_sqlite
@pytest.mark.parametrize("kind", ["without rowid", "view"])
def test_a_table_without_such_numbers_goes_by_its_keys(text_bench, kind):      # R75
    db = text_bench.db
    columns = "id CHAR(36) PRIMARY KEY, {}".format(", ".join(
        f"{column} TEXT" for column in sorted(db.columns("audit_logs") - {"id"})))
    db.execute("DROP TABLE {audit_logs}")
    if kind == "view":
        db.execute(f"CREATE TABLE behind ({columns})")
        db.execute("CREATE VIEW {audit_logs} AS SELECT * FROM behind")
        db.execute("CREATE TRIGGER gone INSTEAD OF DELETE ON {audit_logs} "
                   "BEGIN DELETE FROM behind WHERE id = old.id; END")
        assert db.numbered_by("audit_logs") == ""
        return
    db.execute(f"CREATE TABLE {{audit_logs}} ({columns}) WITHOUT ROWID")
    audits(text_bench, {**OLD, 5000: 1})
    assert text_bench.run(AUDIT) == {"deleted": 3000}
    assert {"keys"} <= set(ways(text_bench)) <= {"keys", "times", "listed keys"}
    assert text_bench.ids("audit_logs") == [5000]


@on_sqlite
def test_rows_that_a_vacuum_numbered_anew_are_judged_again(text_bench):       # R75
    audits(text_bench, {**dict.fromkeys(range(1, 1001), 1),
                        **dict.fromkeys(range(2001, 5001), 400)})
    text_bench.db.execute("DELETE FROM {audit_logs} WHERE id IN (:ids)", ids=list(range(1, 500)))
    other, done = connect(text_bench.url), []

    def vacuum(sql, _) -> None:
        if sql.startswith("BEGIN") and not done and not text_bench.db.current:
            done.append(other.execute("VACUUM"))
    text_bench.on_statement = vacuum
    assert text_bench.run(AUDIT) == {"deleted": 3000}
    other.close()
    assert done
    assert sorted(text_bench.ids("audit_logs")) == list(range(500, 1001))


@on_mariadb
def test_mariadb_goes_by_ranges_of_keys_while_much_is_old(text_bench):       # R16 R75
    audits(text_bench, {**OLD, **dict.fromkeys(range(5000, 8000), 1)})
    assert text_bench.run(AUDIT) == {"deleted": 3000}
    assert ways(text_bench)[:2] == ["keys", "keys"]
    assert len(text_bench.ids("audit_logs")) == 3000


@on_mariadb
def test_where_little_is_old_it_goes_by_ranges_of_time(text_bench):          # R16 R75
    audits(text_bench, {number: 400 - number / 10_000 if number % 10 == 0 else 1
                        for number in range(1, 30_001)})
    assert text_bench.run(AUDIT) == {"deleted": 3000}
    assert ways(text_bench)[0] == "keys"              # one range says how many of its rows go
    assert set(ways(text_bench)[1:]) == {"times"}
    assert len(text_bench.ids("audit_logs")) == 27_000


@on_mariadb
def test_many_rows_of_one_time_go_by_lists_of_keys(text_bench):              # R16 R75
    audits(text_bench, {number: 400 if number % 10 == 0 else 1 for number in range(1, 30_001)})
    assert text_bench.run(AUDIT) == {"deleted": 3000}
    assert set(ways(text_bench)[1:]) == {"listed keys"}
    assert len(text_bench.ids("audit_logs")) == 27_000


@pytest.mark.parametrize("limit", [1, 999, 1001, 2999])
def test_a_limit_is_kept_whatever_the_way(text_bench, limit):                # R75
    audits(text_bench, OLD)
    assert text_bench.run(AUDIT, limit=limit) == {"deleted": limit}
    assert len(text_bench.ids("audit_logs")) == 3000 - limit


def test_what_is_kept_of_a_batch_is_told_just_the_rows_that_go(text_bench):  # R58 R75
    logs(text_bench, {**dict.fromkeys(range(1, 2501), 91),
                      **{id: 91 if id % 9 else 1 for id in range(5000, 9000, 8)}})
    kept: list = []

    def within(db, rows) -> None:
        kept.append([row["id"] for row in db.query(f"SELECT id{rows.source}", **rows.values)])
        same = f"SELECT COUNT(*) FROM {{message_logs}} WHERE id{rows.key} AND {rows.filter}"
        assert db.value(same, **rows.values) == len(kept[-1])
    before = set(text_bench.ids("message_logs"))
    deleted = text_bench.run(keeping(within), yes=True)["deleted"]
    told = [text_bench.db.names.numbers[id] for ids in kept for id in ids]
    assert len(told) == len(set(told)) == deleted > 2500
    assert before - set(told) == set(text_bench.ids("message_logs"))
    assert LOGS.name == "purge_logs"
