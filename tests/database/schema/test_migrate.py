"""`migrate` can be repeated, killed and run twice at once, and never touches what is not ours."""
from __future__ import annotations

import os
import signal
import time

import pytest

from tests.support.databases import NOW, files, migrated
from tests.support.product import (
    NAMES,
    SCHEMA_VERSION,
    DatabaseError,
    apps_own,
    check,
    connect,
    ddl,
    found,
    migrate,
    plan,
    table,
    version,
)


def shape(db):
    """All that `migrate` makes: tables and views, columns, indexes."""
    return {"tables": db.tables(), "columns": {name: db.columns(name) for name in NAMES},
            "indexes": {name: db.indexes(name) for name in NAMES}}


def database_id(db):
    return db.value("SELECT value FROM {meta} WHERE name = 'database_id'")


def test_a_statement_may_take_as_long_as_a_large_table_needs(tmp_path):
    db, seen = connect(f"sqlite:///{tmp_path}/new.db", create=True), []
    db.on_statement = lambda sql, values: seen.append(db.left())
    migrate(db, NOW)
    assert min(seen) > 3600
    assert db.left is None
    db.close()


# Other tests may have left idle threads behind, which hold no lock that a child would wait for.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@pytest.fixture
def fresh(request, tmp_path):
    """`fresh()` gives a new empty database on the engine of `engine`."""
    made = []

    def new():
        if request.getfixturevalue("engine") == "sqlite":
            made.append(f"sqlite:///{tmp_path}/{len(made)}.db")
        else:
            made.append(request.getfixturevalue("mariadb").database())
        return made[-1]

    yield new
    for url in made:
        if url.startswith("mysql"):
            request.getfixturevalue("mariadb").drop(url)


@pytest.fixture(params=["sqlite", "mariadb"])
def engine(request):
    return request.param


READS = ("SELECT", "SHOW", "EXPLAIN")


def in_a_process(url, kill_before=None, kill_after=None):
    """Run `migrate` in a process of its own, killed behind so many statements that are no reads,
    which leave everything as it is, or after some time.

    True if it came to its end.
    """
    child = os.fork()
    if child == 0:
        try:
            db = connect(url, create=True)
            seen = []

            def watch(sql, values):
                if len(seen) == kill_before:
                    os.kill(os.getpid(), signal.SIGKILL)
                if not sql.startswith(READS):
                    seen.append(sql)

            db.on_statement = watch
            migrate(db, NOW)
            os._exit(0)
        finally:
            os._exit(1)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFEXITED(status)


# Repeating and killing

def test_it_can_be_repeated(blank_url):
    # R20
    db = migrated(blank_url)
    before, id = shape(db), database_id(db)
    assert len(id) == 32
    assert migrate(db, NOW) == ([], False)
    assert shape(db) == before
    assert database_id(db) == id
    check(db)
    db.close()


@pytest.mark.slow
def test_a_kill_between_any_two_statements_does_no_harm(engine, fresh):
    # R20, proven by kill: for each statement that may change something a process that dies right
    # behind it, and then one that goes on
    whole = migrated(fresh())
    expected, at = shape(whole), 0
    whole.close()
    while True:
        url = fresh()
        ended = in_a_process(url, kill_before=at)
        db = connect(url, create=True)
        if not ended and not found(db):
            # else all was made, and only what was found of an app's tables not yet noted
            with pytest.raises(DatabaseError, match=r"run `jobs\.py migrate`"):
                check(db)
        migrate(db, NOW)
        check(db)
        assert shape(db) == expected
        assert len(database_id(db)) == 32
        db.close()
        if ended:
            break
        at += 1
    assert at > len(NAMES)


@pytest.mark.slow
def test_it_ends_although_each_try_is_killed_after_one_more_step(fresh, engine):
    # R20: what was made stays made on MySQL; SQLite makes all or nothing, so each try gets further
    # there
    url, tries = fresh(), 0
    while not in_a_process(url, kill_before=2 * tries + 1):
        tries += 1
    db = connect(url)
    check(db)
    assert tries > 5
    db.close()


@pytest.mark.slow
def test_kills_at_random_moments_do_no_harm(fresh, engine):
    # R20
    whole = migrated(fresh())
    expected = shape(whole)
    whole.close()
    killed = 0
    for round in range(12):
        url = fresh()
        killed += not in_a_process(url, kill_after=0.002 * round + 0.004)
        db = connect(url, create=True)
        migrate(db, NOW)
        assert shape(db) == expected
        db.close()
    assert killed > 2


def test_two_at_once_both_succeed(fresh, engine):
    url = fresh()
    connect(url, create=True).close()
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                migrate(connect(url, create=True, timeout=20), NOW)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    db = connect(url)
    check(db)
    assert found(db) == SCHEMA_VERSION
    db.close()


# Versions

def test_a_newer_schema_is_refused_in_one_sentence(blank_url):
    # R20
    db = migrated(blank_url)
    db.upsert("meta", {"name": "schema"}, {"value": "99"})
    for use in (check, lambda db: migrate(db, NOW), plan):
        with pytest.raises(DatabaseError) as caught:
            use(db)
        assert str(caught.value) == (f"the database is at schema 99, newer than this bundle knows"
                                     f" ({SCHEMA_VERSION}): install the newer bundle again")
    db.close()


def test_no_schema_or_an_older_one_says_what_to_run(blank_url, monkeypatch):
    db = connect(blank_url, create=True)
    with pytest.raises(DatabaseError,
                       match=r"has no tables of this bundle yet: run `jobs\.py migrate`"):
        check(db)
    migrate(db, NOW)
    check(db)
    ours = SCHEMA_VERSION
    monkeypatch.setattr(version, "SCHEMA_VERSION", ours + 1)
    wrong = rf"is at schema {ours}, this bundle needs {ours + 1}: run `jobs\.py migrate`"
    with pytest.raises(DatabaseError, match=wrong):
        check(db)
    db.close()


@pytest.mark.slow
def test_what_a_table_of_ours_lacks_is_added_and_kills_do_no_harm(fresh, engine):
    """As after an update whose tables have more columns and indexes."""
    # R20
    whole = migrated(fresh())
    expected = shape(whole)
    whole.close()
    url = fresh()
    old = migrated(url)
    old.insert("notifications", kind="k", to_email="a@b.example")
    old.execute("DROP INDEX notifications_age" + " ON notifications" * (engine == "mariadb"))
    old.execute("ALTER TABLE {notifications} DROP COLUMN last_code")
    old.execute("ALTER TABLE {job_runs} DROP COLUMN progress")
    old.close()
    kills = 0
    while not in_a_process(url, kill_before=kills):
        kills += 1
    db = connect(url)
    check(db)
    assert kills > 2
    assert shape(db) == expected
    assert db.row("SELECT kind, last_code FROM {notifications}") == {"kind": "k", "last_code": None}
    db.close()


# The plan

def test_the_plan_is_what_would_run_and_changes_nothing(blank_url, tmp_path):
    # R11
    connect(blank_url, create=True).close()
    before = files(tmp_path)
    dry = connect(blank_url, readonly=True)
    planned = plan(dry)
    assert dry.tables() == set()
    dry.close()
    assert files(tmp_path) == before
    db = connect(blank_url)
    assert migrate(db, NOW) == (planned, False)
    assert plan(db) == []
    db.close()


def test_the_plan_can_be_pasted_into_another_tool(blank_url):
    # phpMyAdmin is all that many hosts offer
    db = connect(blank_url, create=True)
    for sql in plan(db):
        assert "{" not in sql
        assert ":" not in sql
        db.execute(sql)
    assert plan(db) == []
    migrate(db, NOW)
    check(db)
    db.close()


# What is not ours

def test_an_apps_table_that_is_there_is_left_as_it_is(blank_url):
    db = connect(blank_url, create=True)
    db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, login VARCHAR(50))")
    migrate(db, NOW)
    assert db.columns("users") == {"id", "login"}
    assert "aliases" not in db.tables()                 # those are the app's, too
    lacks = [sql for each in ddl.differences(db, table("users")) for sql in each.statements]
    assert any("ADD COLUMN" in sql and "deleted_at" in sql for sql in lacks)
    for sql in lacks:
        db.execute(sql)
    assert ddl.differences(db, table("users")) == []
    assert migrate(db, NOW) == ([], False)
    assert "aliases" not in db.tables()                 # left out for good
    db.close()


def test_a_table_of_our_name_that_is_somebody_elses_is_refused(blank_url):
    db = connect(blank_url, create=True)
    db.execute("CREATE TABLE notifications (id INTEGER PRIMARY KEY, badge VARCHAR(50))")
    with pytest.raises(DatabaseError,
                       match=r"notifications is there already and is not ours .*\[core\] prefix"):
        migrate(db, NOW)
    assert db.tables() == {"notifications"}
    prefixed = migrated(blank_url, prefix="bj_")
    check(prefixed)
    assert db.columns("notifications") == {"id", "badge"}
    for database in (db, prefixed):
        database.close()


def test_a_table_of_somebody_elses_that_is_mapped_later_is_refused(blank_url):
    migrated(blank_url).close()
    db = connect(blank_url, tables={"alerts": "theirs"})
    # no such table yet: ours would be made under that name
    assert plan(db)[0].startswith("CREATE TABLE")
    db.execute("CREATE TABLE theirs (id INTEGER PRIMARY KEY, words VARCHAR(50))")
    for look in (plan, lambda db: migrate(db, NOW)):
        with pytest.raises(DatabaseError,
                           match=r"theirs is there already and is not ours .* \[tables\] alerts"):
            look(db)
    assert db.columns("alerts") == {"id", "words"}
    db.close()


def test_a_mapped_table_of_the_app_is_never_made(blank_url):
    theirs = connect(blank_url, create=True)
    for sql in ddl.create_table(theirs, table("message_logs")):
        name = theirs.dialect.quote("message_logs")
        theirs.execute(sql.replace(name, theirs.dialect.quote("mail_log")))
    db = migrated(blank_url, prefix="bj_", tables={"message_logs": "mail_log", "users": "people"})
    assert {"mail_log", "bj_meta"} <= db.tables()
    assert not {"bj_message_logs", "bj_users", "people", "bj_aliases"} & db.tables()
    for database in (db, theirs):
        database.close()


def test_a_mapped_table_of_ours_is_made_under_that_name(blank_url):
    db = migrated(blank_url, tables={"notifications": "outgoing_notices"})
    assert "outgoing_notices" in db.tables()
    assert "notifications" not in db.tables()
    db.close()


def test_two_installations_in_one_database_do_not_meet(blank_url):
    one, other = migrated(blank_url, prefix="a_"), migrated(blank_url, prefix="b_")
    assert database_id(one) != database_id(other)
    one.insert("aliases", user_id=1, address="a@example.org")
    assert other.value("SELECT COUNT(*) FROM {aliases}") == 0
    for database in (one, other):
        database.close()


def test_a_database_in_a_program_that_is_killed_in_its_first_moment_can_be_migrated(tmp_path):
    (tmp_path / "jobs.db").touch()               # the file is made first, and may be all there is
    db = migrated(f"sqlite:///{tmp_path}/jobs.db")
    check(db)
    db.close()


def test_a_table_that_got_lost_is_made_again(fresh, engine):
    db = migrated(fresh())
    expected = shape(db)
    db.execute("DROP TABLE {failed_emails}")
    migrate(db, NOW)
    assert shape(db) == expected
    db.close()


def test_an_apps_table_is_found_in_any_case_where_the_database_tells_none(tmp_path):   # R75
    """On a server with lower_case_table_names: tests/apps/test_mariadb_matrix.py."""
    db = connect(f"sqlite:///{tmp_path}/app.db", create=True, tables={"users": "AppUsers"})
    for name, theirs in (("users", "appusers"), ("audit_logs", "Audit_Logs")):
        for sql in ddl.create_table(db, table(name)._replace(indexes=())):
            db.execute(sql.replace(db.name(name), theirs))
    assert apps_own(db) == ["AppUsers", "audit_logs"]
    migrate(db, NOW)
    assert {"AppUsers", "audit_logs"} <= db.tables()
    assert "aliases" not in db.tables()
    check(db)
    db.close()
