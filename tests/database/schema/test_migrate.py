"""`migrate` can be repeated and killed, and never touches what is not ours."""
from __future__ import annotations

import os
import signal

import pytest

from tests.support.databases import NOW, columns, files, listen, migrated
from tests.support.product import DatabaseError, check, connect, ddl, found, migrate, plan, table
from tests.support.shell import Shell, ended, is_killed


def shape(db):
    """All that `migrate` makes: tables and views, columns, indexes."""
    return {name: (row, columns(db, name), db.indexes(name)) for name, row in db.tables().items()}


def database_id(db):
    return db.value("SELECT value FROM {meta} WHERE name = 'database_id'")


def test_a_statement_may_take_as_long_as_a_large_table_needs(opened, tmp_path):
    db, seen = opened(f"sqlite:///{tmp_path}/new.db", create=True), []
    listen(db, lambda sql, values: seen.append(db.left()))
    migrate(db, NOW)
    assert min(seen) > 3600


# Other tests may have left idle threads behind, which hold no lock that a child would wait for.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@pytest.fixture(params=["sqlite", "mariadb"])
def fresh(request, tmp_path):
    """`fresh()` gives the URL of a new empty database."""
    server = request.param == "mariadb" and request.getfixturevalue("mariadb")
    made: list = []
    yield lambda: made.append(server.database() if server else
                              f"sqlite:///{tmp_path}/{len(made)}.db") or made[-1]
    for url in made if server else ():
        server.drop(url)


READS = ("SELECT", "SHOW", "EXPLAIN")
MAKES = ("CREATE", "ALTER", "DROP")


def in_a_process(url, at=None):
    """Run `migrate` in a process of its own that is killed: before the statement of that number,
    reads left aside, which leave everything as it is, or behind the first that makes something.
    True if it came to its end."""
    def work() -> bool:
        db, done = connect(url, create=True), []

        def watch(sql, values):
            if len(done) == at or (at is None and done and done[-1].startswith(MAKES)):
                os.kill(os.getpid(), signal.SIGKILL)
            if not sql.startswith(READS):
                done.append(sql)
        listen(db, watch)
        migrate(db, NOW)
        return True
    return not is_killed(work)


def age(db) -> None:
    """As before an update: its tables have more columns and indexes, and one is missing."""
    db.insert("notifications", kind="k", to_email="a@b.example")
    db.execute("DROP INDEX notifications_age" + " ON notifications" * (db.dialect.name == "mysql"))
    db.execute("ALTER TABLE {notifications} DROP COLUMN last_code")
    db.execute("ALTER TABLE {job_runs} DROP COLUMN progress")
    db.execute("DROP TABLE {failed_emails}")


def test_it_can_be_repeated_and_makes_what_tables_of_ours_lack(blank_url, opened):    # R20
    db = opened(blank_url, migrated)
    before, id = shape(db), database_id(db)
    assert len(id) == 32
    assert migrate(db, NOW) == ([], False)
    age(db)
    migrate(db, NOW)
    check(db)
    assert (shape(db), database_id(db)) == (before, id)
    assert db.row("SELECT kind, last_code FROM {notifications}") == {"kind": "k", "last_code": None}


@pytest.mark.slow
def test_a_kill_does_no_harm(fresh, opened):
    # R20, proven by kill: as it begins, where a database becomes ours, and, on SQLite, now and then
    # later on; MariaDB, between any two: the next test
    whole = opened(fresh(), migrated)
    expected = shape(whole)
    later = range(8, 200, 20) if whole.dialect.name == "sqlite" else ()
    for at in (*range(8), *later):
        url = fresh()
        ended = in_a_process(url, at)
        db = opened(url, create=True)
        if not ended and not found(db):
            # else all was made, and only what was found of an app's tables not yet noted
            with pytest.raises(DatabaseError, match=r"run `jobs\.py migrate`"):
                check(db)
        migrate(db, NOW)
        check(db)
        assert shape(db) == expected
        assert len(database_id(db)) == 32
        if ended:
            break
    assert at > 40 or not later


def test_several_at_once_make_all_together(blank_url, tmp_path):      # R20
    site = Shell.with_odd_jobs(tmp_path, blank_url)
    assert [ended(each, 0).code for each in [site.start("migrate") for _ in range(4)]] == [0] * 4


@pytest.mark.slow
@pytest.mark.parametrize("fresh", ["mariadb"], indirect=True)        # SQLite makes all or nothing
@pytest.mark.parametrize("is_old", [False, True])
def test_it_ends_although_each_try_is_killed_once_it_has_made_something(fresh, opened, is_old):
    # R20: so between any two
    expected, url, tries = shape(opened(fresh(), migrated)), fresh(), 0
    if is_old:
        age(opened(url, migrated))
    while not in_a_process(url):
        tries += 1
    db = opened(url)
    check(db)
    assert shape(db) == expected
    assert tries >= (2 if is_old else len(expected))


def test_the_plan_is_what_would_run_and_changes_nothing(blank_url, opened, tmp_path):    # R11
    connect(blank_url, create=True).close()
    before = files(tmp_path)
    dry = connect(blank_url, readonly=True)
    planned = plan(dry)
    assert dry.tables() == {}
    dry.close()
    assert files(tmp_path) == before
    # it can be pasted into phpMyAdmin, which is all that many hosts offer
    assert [sql for sql in planned if "{" in sql or ":" in sql] == []
    db = opened(blank_url)
    assert migrate(db, NOW) == (planned, False)
    assert plan(db) == []
    check(db)


@pytest.mark.parametrize("ours, theirs, names, advice", [
    ("notifications", "notifications", {}, r"\[core\] prefix"),
    ("alerts", "theirs", {"alerts": "theirs"}, r"\[tables\] alerts")])
def test_a_table_of_our_name_that_is_not_ours_is_refused(blank_url, opened, ours, theirs, names,
                                                         advice):
    db = opened(blank_url, create=True, tables=names)
    db.execute(f"CREATE TABLE {theirs} (id INTEGER PRIMARY KEY, badge VARCHAR(50))")
    for look in (plan, lambda db: migrate(db, NOW)):
        with pytest.raises(DatabaseError,
                           match=f"{theirs} already exists and is not the jobs' own .*{advice}"):
            look(db)
    assert set(db.tables()) == {theirs}
    check(opened(blank_url, migrated, prefix="bj_"))
    assert columns(db, ours) == {"id", "badge"}


def test_an_apps_table_is_found_in_any_case_where_the_database_tells_none(opened, tmp_path):   # R75
    """On a server with lower_case_table_names: tests/apps/test_mariadb_matrix.py."""
    db = opened(f"sqlite:///{tmp_path}/app.db", create=True, tables={"users": "AppUsers"})
    for name, theirs in (("users", "appusers"), ("audit_logs", "Audit_Logs")):
        for sql in ddl.create_table(db, table(name)._replace(indexes=())):
            db.execute(sql.replace(db.name(name), theirs))
    migrate(db, NOW)
    assert {"appusers", "audit_logs"} <= db.tables().keys()
    assert "aliases" not in db.tables()
    check(db)
