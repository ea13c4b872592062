"""The database of an app that exists: the jobs do the same under its names, and refuse where it
lacks something."""
from __future__ import annotations

import json
import re

import pytest

from jobs_lib import catalogue
from jobs_lib.database.connection import connect
from jobs_lib.database.schema import NAMES, app_gaps, app_tables, version
from jobs_lib.database.schema.app_gaps import missing, statements
from jobs_lib.database.schema.migrations import migrate
from jobs_lib.database.schema.tables import table
from jobs_lib.demo import service
from jobs_lib.monitoring import facts, overview, publish
from tests.conftest import ENGINES
from tests.engines.test_queue import due
from tests.support import adopted
from tests.support.bench import NOW, Bench

KEY = "0123456789abcdef0123456789abcdef"
# random, or about the run or the disk itself
OWN_OF_EACH = {"job_runs", "meta", "schema_migrations"}
# Drawn at random, or of a file with something random in it.
RANDOM = {"location", "sha256", "claim_token", "claim_run", "run_id", "token_hash",
          "file_name", "file_bytes"}


def filled(made: Bench) -> Bench:
    """The sample service, with the same key in each installation."""
    made.config(core={"secret_key": KEY, "app_url": "https://mail.alias.example"},
                dns={"mx_hosts": "mx.alias.example"})
    service.fill(made.db, str(made.spool_dir), made.now)
    return made


def all_of(made: Bench) -> dict:
    """{table: its rows}, of our columns; without the fraction that seconds may have, and the
    folder."""
    ours = {name: {column.name for column in table(name).columns} - RANDOM for name in NAMES}
    return {name: [{column: re.sub(rf"\.000000|{made.folder}", "", value) if isinstance(value, str)
                    else value for column, value in row.items() if column in ours[name]}
                   for row in made.rows(name)] for name in NAMES if name not in OWN_OF_EACH}


def sent(made: Bench) -> list:
    """All mail."""
    return [(mail.sender, mail.recipient, mail.subject) for mail in made.outbox]


def runs(made: Bench) -> dict:
    """{job: its counts} of every job, once and then a day later."""
    found: dict = {}
    for day in range(2):
        for name in catalogue.names():
            found[name, day] = made.run(name)
        made.now = made.ahead(days=1)
    return found


OTHER_TYPES = {"time": "DATETIME(6)", "now": "DATETIME(6)", "word": "VARCHAR(32)", "ref": "INTEGER",
               "flag": "SMALLINT", "address": "VARCHAR(190)", "text": "TEXT", "line": "TEXT"}


@pytest.fixture(params=ENGINES)
def fresh(request, tmp_path):
    """Function of a name: the URL of a database without any table, on each engine."""
    made: list[str] = []

    def url(name: str) -> str:
        (tmp_path / name).mkdir()
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path}/{name}/jobs.db"
        made.append(request.getfixturevalue("mariadb").database())
        return made[-1]
    yield url
    for one in made:
        request.getfixturevalue("mariadb").drop(one)


def do_the_same(ours: Bench, theirs: Bench) -> None:
    """Every job does the same to both."""
    assert all_of(theirs) == all_of(ours)
    assert runs(theirs) == runs(ours)
    assert all_of(theirs) == all_of(ours)
    assert sent(theirs) == sent(ours)
    assert len(ours.outbox) > 5
    ours.db.close()
    theirs.db.close()


@pytest.mark.slow
def test_every_job_does_the_same_under_other_names_and_types(tmp_path, fresh):      # R14
    ours = filled(Bench(tmp_path / "ours", fresh("ours")))
    url = adopted.make(fresh("theirs"), types=OTHER_TYPES)
    theirs = filled(Bench(tmp_path / "theirs", url, adopted.TABLES, adopted.COLUMNS))
    do_the_same(ours, theirs)


@pytest.mark.slow
def test_every_job_does_the_same_where_expressions_stand_for_columns(tmp_path, fresh):
    ours = filled(Bench(tmp_path / "ours", fresh("ours")))
    columns, types = adopted.otherwise(ours.db.dialect)
    url = adopted.make(fresh("theirs"), columns=types)
    theirs = filled(Bench(tmp_path / "theirs", url, adopted.TABLES, columns))
    assert len(types) > 60
    do_the_same(ours, theirs)


# Tables in another database of the server

@pytest.fixture
def elsewhere(mariadb):
    """An app's database, an empty one for the jobs, and what [tables] says."""
    app, own = mariadb.database(), mariadb.database()
    adopted.make(app)
    schema = name_of(app)
    yield schema, own, {name: f"{schema}.{theirs}" for name, theirs in adopted.TABLES.items()}
    for url in (app, own):
        mariadb.drop(url)


def name_of(url: str) -> str:
    """The name of the database of a URL."""
    return url.partition("?")[0].rpartition("/")[2]


@pytest.mark.slow
def test_every_job_does_the_same_on_tables_of_another_database(tmp_path, mariadb_url, elsewhere):
    schema, own, tables = elsewhere
    ours = filled(Bench(tmp_path, mariadb_url))
    (tmp_path / "theirs").mkdir()
    theirs = filled(Bench(tmp_path / "theirs", own, tables, adopted.COLUMNS))
    assert all_of(theirs) == all_of(ours)
    assert runs(theirs) == runs(ours)
    assert all_of(theirs) == all_of(ours)
    assert theirs.db.tables() >= {f"{schema}.app_users", "job_runs"}
    assert "app_users" not in theirs.db.tables()
    theirs.db.close()
    ours.db.close()


def test_a_table_that_this_user_may_not_see_or_change_is_named(tmp_path, mariadb, elsewhere):
    schema, own, tables = elsewhere
    mariadb.root("CREATE USER 'seer'@'%' IDENTIFIED BY 'x'")
    mariadb.root(f"GRANT ALL ON `{name_of(own)}`.* TO 'seer'@'%'")
    for name in set(tables) - {"sessions"}:
        mariadb.root(f"GRANT SELECT ON {tables[name]} TO 'seer'@'%'")
    url = f"mysql://seer:x@localhost/{name_of(own)}?{own.partition('?')[2]}"
    bench = Bench(tmp_path, url, tables, adopted.COLUMNS)
    assert bench.fails("purge_sessions").startswith(
        f"nothing was done: the database has no table {schema}.app_sessions, or its user may not "
        "see it. ")
    assert (f"-- {schema}.app_sessions: if it is there, the user of [core] database may not see "
            "it: GRANT it SELECT, INSERT, UPDATE and DELETE on that table") in statements(bench.db)
    mariadb.root(f"GRANT SELECT ON {tables['sessions']} TO 'seer'@'%'")
    writer = connect(own, tables=tables, columns=adopted.COLUMNS)
    writer.insert("sessions", user_id=1, token_hash="x", expires_at=bench.ago(days=1))
    writer.close()
    denied = bench.fails("purge_sessions")
    assert denied == (f"nothing was done: seer@% has no right to DELETE {tables['sessions']}: ask "
                      "the database administrator to run GRANT DELETE ON "
                      f"`{schema}`.`app_sessions` TO 'seer'@'%'")
    bench.db.close()
    mariadb.root("DROP USER 'seer'@'%'")


def test_what_lacks_in_another_database_is_printed_with_its_name(elsewhere):
    schema, own, tables = elsewhere
    db = connect(own, tables=tables, columns=adopted.COLUMNS)
    db.execute("DROP INDEX webhooks_user ON {webhooks}")
    db.execute("ALTER TABLE {users} DROP COLUMN its_email_limit")
    db.execute("ALTER TABLE {domains} ENGINE=MyISAM")
    migrate(db, NOW, own_only=True)
    assert [sql.partition(";")[0] for sql in statements(db)] == [
        f"ALTER TABLE `{schema}`.`app_users` ADD COLUMN `its_email_limit` BIGINT NULL",
        f"CREATE INDEX `webhooks_user` ON `{schema}`.`app_webhooks` (`its_user_id`)"]
    assert "domains:engine:MyISAM" in db.value("SELECT value FROM {meta} "
                                               "WHERE name = 'app_tables'").split()
    assert db.sizes()[f"{schema}.app_users"] > 0
    db.close()


BY_TIME = {"sqlite": "DATETIME('now')", "mysql": "UTC_TIMESTAMP()"}


def test_an_app_that_marks_deleted_accounts_by_a_time_alone(tmp_path, fresh):
    url = adopted.make(fresh("app"), ("users.status",))
    status = ("CASE WHEN its_deleted_at IS NULL THEN 'active' ELSE 'deleted' END\n"
              "    write its_deleted_at = CASE :value WHEN 'deleted' THEN "
              f"COALESCE(its_deleted_at, {BY_TIME[url.partition(':')[0]]}) END")
    columns = {**adopted.COLUMNS, "users": {**adopted.COLUMNS["users"], "status": status}}
    bench = Bench(tmp_path, url, adopted.TABLES, columns)
    bench.db.insert("users", id=1, email="jo@home.example", created_at=bench.now)
    bench.db.insert("users", id=2, email="al@home.example", created_at=bench.now)
    bench.db.execute("UPDATE app_users SET its_deleted_at = :now WHERE its_id = 2", now=bench.now)
    assert bench.run("delete_accounts")["revoked"] == 1
    bench.now = bench.ahead(days=8)
    assert bench.run("delete_accounts")["erased"] == 1
    assert bench.ids("users") == [1]
    bench.db.close()


# What is missing

def adopted_bench(folder, url: str, *lacking: str) -> Bench:
    """An installation on an app's database that lacks these tables and columns."""
    return Bench(folder, adopted.make(url, lacking), adopted.TABLES, adopted.COLUMNS)


def mend(made: Bench) -> None:
    """Run what `migrate --own-tables` prints."""
    for sql in statements(made.db):
        made.db.execute(sql.partition(";")[0])


def test_a_job_refuses_before_it_touches_anything(tmp_path, fresh):
    bench = adopted_bench(tmp_path, fresh("app"), "header_snapshots.message_log_id", "webhooks")
    bench.table("message_logs", [{"id": 1, "created_at": bench.ago(days=400)}])
    bench.table("sessions", [{"id": 1, "expires_at": bench.ago(days=1)}])
    for dry_run in (True, False):
        assert bench.fails("purge_message_logs", dry_run=dry_run) == (
            "nothing was done: the table app_header_snapshots has no its_message_log_id. "
            "`jobs.py migrate` prints the statements that add what is missing")
    assert bench.fails("purge_message_logs", enabled="no").endswith(
        "`jobs.py migrate --own-tables` prints the statements that add what is missing")
    assert bench.fails("retry_webhooks").startswith("nothing was done: the database has no table "
                                                    "app_webhooks. ")
    # which has all that it needs
    assert bench.run("purge_sessions") == {"deleted": 1}
    assert bench.ids("message_logs") == [1]
    mend(bench)
    assert bench.run("purge_message_logs")["deleted"] == 1
    assert bench.run("retry_webhooks")["delivered"] == 0
    bench.db.close()


@pytest.mark.parametrize("lacks", [("export_requests", "domains.recheck_requested_at"),
                                   tuple(app_tables.TABLES)], ids=["some", "all"])
# R59 R60
def test_what_looks_at_everything_leaves_out_missing_tables(tmp_path, fresh, lacks):
    bench = adopted_bench(tmp_path, fresh("app"), *lacks)
    bench.config(purge_sessions={"enabled": "no"}, alerts={"webhook": "http://hook.example/x",
                                                           "disk_free": "off"})
    counts = bench.run("check_jobs")
    some = len(lacks) == 2
    assert counts["queues"] == (3 if some else 0)
    # one alert, and not one for each job
    told, = (json.loads(request.body) for request in bench.web)
    trouble, = told["incidents"]
    assert trouble["name"] == "tables"
    assert trouble["command"] == (f"python3 jobs.py --config {bench.folder}/config.ini migrate "
                                  "--dry-run")
    assert "no table app_export_requests" in trouble["last_error"] or not some
    assert "purge_sessions" not in trouble["what"]                      # it is switched off
    for make in (publish.page, publish.metrics):
        assert make(bench._config, bench.db, bench.now)
    assert [each["key"] for each in overview.collect(bench._config, bench.db,
                                                     bench.now)["incidents"]] == ["tables"]
    mend(bench)
    # it looks again once an hour, for the runs after
    bench.now = bench.ahead(hours=1)
    bench.run("check_jobs")
    assert bench.run("check_jobs")["queues"] == 5
    assert "configuration:tables" not in [each["key"] for each in overview.collect(
        bench._config, bench.db, bench.now)["incidents"]]
    bench.db.close()


def test_a_tick_looks_no_further_where_only_disabled_jobs_lack_something(tmp_path, fresh):
    whole = adopted_bench(tmp_path / "whole", fresh("whole"))
    lacks = adopted_bench(tmp_path / "lacks", fresh("lacks"), "export_requests")

    def idle() -> tuple:
        return facts.collect(lacks.db, lacks._config, catalogue.load_all([]), lacks.now).lacking
    names = idle()
    assert names
    lacks.config(**{name: {"enabled": "no"} for name in names})
    assert idle() == ()
    numbers = []
    for bench in (whole, lacks):
        bench.run("check_jobs")
        bench.now = bench.ahead(minutes=5)
        bench.run("check_jobs")
        numbers.append(len(bench.statements))
        assert not any(word in sql for word in ("pragma_", "information_schema", "EXPLAIN", "SHOW",
                                                "sqlite_master") for sql in bench.statements)
        bench.db.close()
    assert numbers[1] <= numbers[0] + 5, numbers


def test_a_long_list_of_gaps_is_looked_up_once(tmp_path, fresh):
    """One that is longer than a value of `meta`."""
    bench = Bench(tmp_path, adopted.make(fresh("app"), [
        f"{name}.{column.name}" for name in app_tables.TABLES for column in table(name).columns
        if name != "sessions" and column not in table(name).columns[:1]
        and column.name not in table(name).key]), adopted.TABLES, adopted.COLUMNS)
    names = app_gaps.lacking(bench.db)
    assert len(" ".join(names)) > app_gaps.LONGEST
    assert app_gaps.known(bench.db) == names
    bench.run("purge_sessions")
    assert not any("pragma_" in sql or "information_schema" in sql for sql in bench.statements)
    mend(bench)
    app_gaps.note(bench.db)
    assert len([row for row in bench.rows("meta") if row["name"].startswith("app_tables")]) == 1
    app_gaps.forget(bench.db)
    assert app_gaps.known(bench.db) is None
    bench.db.close()


@pytest.mark.parametrize("code", ["sessions:from_later", "sessions.user_id:unlike",
                                  "sessions.user_id:unlike:INT", "further:from_later:x",
                                  "further:no_column:x", "further:may_not_delete"])
def test_what_another_version_has_noted_ends_no_run(tmp_path, fresh, code):
    bench = adopted_bench(tmp_path, fresh("app"))
    bench.db.upsert("meta", {"name": "app_tables"},
                    {"value": f"{app_gaps.noted(bench.db)} {code}"})
    assert facts.collect(bench.db, bench._config, catalogue.load_all([]), bench.now).lacking == ()
    assert bench.run("purge_sessions") == {"deleted": 0}
    assert app_gaps.known(bench.db) == []
    bench.db.close()


def test_another_version_looks_once(tmp_path, fresh, monkeypatch):
    bench = adopted_bench(tmp_path, fresh("app"))
    monkeypatch.setattr(version, "VERSION", "0.0.0.another")
    looked = []
    for _ in range(2):
        bench.run("purge_sessions")
        looked.append(any("pragma_" in sql or "information_schema" in sql
                          for sql in bench.statements))
    assert looked == [True, False]
    bench.db.close()


def test_what_is_complete_is_looked_at_once(tmp_path, fresh):
    bench = adopted_bench(tmp_path, fresh("app"))

    def looks() -> int:
        bench.run("purge_sessions")
        return sum("pragma_" in sql or "information_schema" in sql for sql in bench.statements)
    assert looks() == 0                                                 # `migrate` did
    bench.db.execute("DELETE FROM {meta} WHERE name = 'app_tables'")
    assert looks()
    assert looks() == 0
    # other names: another look
    bench.config(columns={"users.email": "its_name", "users.name": "its_email"})
    assert looks()
    assert looks() == 0
    bench.db.close()


def test_a_column_that_is_dropped_later_ends_one_run_and_the_next_one_refuses(tmp_path, fresh):
    bench = adopted_bench(tmp_path, fresh("app"))
    bench.db.execute("DROP TABLE {sessions}")
    bench.db.execute("CREATE TABLE app_sessions (its_id INTEGER PRIMARY KEY, its_user_id INTEGER)")
    assert "app_sessions has no" not in bench.fails("purge_sessions")
    assert bench.fails("purge_sessions").startswith("nothing was done: the table app_sessions has "
                                                    "no its_")
    bench.db.close()


# R70, R75: what was sent could not be stored, and was sent again and again
def test_a_column_whose_type_is_changed_later_ends_one_run_and_the_next_one_refuses(tmp_path,
                                                                                    mariadb):
    bench = adopted_bench(tmp_path, mariadb.database())
    due(bench, "failed_emails", 3)
    bench.db.execute("ALTER TABLE {failed_emails} MODIFY COLUMN its_last_code TINYINT")
    assert "Out of range value" in bench.fails("retry_forwards")
    assert bench.fails("retry_forwards").startswith("nothing was done: app_failed_emails."
                                                    "its_last_code takes numbers up to 127")
    assert len(bench.outbox) == 1
    bench.db.close()


def test_a_view_may_take_the_place_of_a_table(tmp_path, fresh):
    url = adopted.make(fresh("app"), ("users",))
    db = connect(url, tables=adopted.TABLES, columns=adopted.COLUMNS)
    names = [column.name for column in table("users").columns]
    db.execute(f"CREATE TABLE people ({', '.join(f'{name} VARCHAR(190)' for name in names)})")
    db.execute("CREATE VIEW app_users AS SELECT "
               f"{', '.join(f'{name} AS its_{name}' for name in names)} FROM people")
    migrate(db, NOW, own_only=True)
    assert missing(db.name, db.catalogue(app_tables.TABLES)) == []
    db.close()


def test_a_job_deletes_and_changes_rows_through_a_view_of_one_table(tmp_path, mariadb):
    bench = adopted_bench(tmp_path, mariadb.database(), "sessions")
    bench.db.execute("CREATE TABLE signins (no BIGINT AUTO_INCREMENT PRIMARY KEY, who BIGINT, kind "
                     "INT, made DATETIME, seen DATETIME, ends DATETIME)")
    bench.db.execute("CREATE VIEW app_sessions AS SELECT no AS its_id, who AS its_user_id, seen AS "
                     "its_last_seen_at, CONCAT(kind) AS its_token_hash, made AS its_created_at, "
                     "ends AS its_expires_at FROM signins")
    bench.db.execute("INSERT INTO signins (ends) "
                     "VALUES ('2026-11-23 00:00:00'), ('2026-12-23 00:00:00')")
    assert bench.run("purge_sessions") == {"deleted": 1}
    assert bench.db.execute("UPDATE {sessions} SET last_seen_at = :now WHERE id = 2",
                            now=bench.now) == 1
    assert bench.db.query("SELECT no, seen FROM signins") == [{"no": 2,
                                                               "seen": "2026-11-24 14:30:05"}]
    url = bench.url
    bench.db.close()
    mariadb.drop(url)


def test_a_table_without_a_key_is_named_and_no_statement_made_up(tmp_path, fresh):
    db = connect(adopted.make(fresh("app"), ("sessions",)), tables=adopted.TABLES,
                 columns=adopted.COLUMNS)
    db.execute("CREATE TABLE app_sessions (uuid VARCHAR(36) PRIMARY KEY)")
    remark = ("-- app_sessions needs a key of one column, a whole number or a text: name it by "
              "[columns] sessions.id")
    assert statements(db)[0] == remark
    assert [sql for sql in statements(db) if "its_id" in sql] == []
    db.close()


# Words

@pytest.fixture
def app(line, tmp_path):
    """jobs.py beside an app's database in which two columns and an index are missing."""
    adopted.make(f"sqlite:///{tmp_path}/jobs.db", ("users.email_limit", "aliases.user_id"))
    line.ini("[core]\ndatabase = sqlite:///jobs.db\n[tables]\n"
             + "\n".join(f"{ours} = {theirs}" for ours, theirs in adopted.TABLES.items())
             + "\n[columns]\n" + "\n".join(f"{name}.{ours} = {theirs}" for name,
                                           renamed in adopted.COLUMNS.items()
                                           for ours, theirs in renamed.items()))
    return line


TO_RUN = """
ALTER TABLE "app_users" ADD COLUMN "its_email_limit" BIGINT NULL;
-- old rows: no limit
ALTER TABLE "app_aliases" ADD COLUMN "its_user_id" BIGINT NULL;   -- your app has to fill it
-- old rows: NULL
CREATE INDEX "aliases_user" ON "app_aliases" ("its_user_id");
"""


# What the app has declared besides

def test_a_foreign_key_of_the_apps_stops_a_purge_with_a_sentence(tmp_path, mariadb):
    bench = adopted_bench(tmp_path, mariadb.database())
    bench.db.execute("CREATE TABLE devices (session_id BIGINT, CONSTRAINT of_session FOREIGN KEY "
                     "(session_id) REFERENCES app_sessions (its_id))")
    bench.table("sessions", [{"id": number, "expires_at": bench.ago(days=1)} for number in (1, 2)])
    bench.db.execute("INSERT INTO devices VALUES (2)")
    told = bench.fails("purge_sessions")
    assert told.startswith("a foreign key keeps these rows: `")
    assert "CONSTRAINT `of_session`" in told
    assert told.endswith("Nothing of this batch was deleted: give it ON DELETE SET NULL (or "
                         "CASCADE, where its own rows are to be deleted, too), or switch this job "
                         "off")
    assert bench.ids("sessions") == [1, 2]
    bench.db.execute("DELETE FROM devices")
    assert bench.run("purge_sessions") == {"deleted": 2}
    url = bench.url
    bench.db.close()
    mariadb.drop(url)


def test_an_apps_own_trigger_sees_each_row_that_is_deleted(tmp_path, fresh):
    bench = adopted_bench(tmp_path, fresh("app"))
    bench.db.execute("CREATE TABLE ended (session_id INTEGER)")
    bench.db.execute("CREATE TRIGGER ends AFTER DELETE ON app_sessions FOR EACH ROW BEGIN"
                     " INSERT INTO ended VALUES (OLD.its_id); END")
    bench.table("sessions", [{"id": number, "expires_at": bench.ago(days=1)} for number in (1, 2)])
    assert bench.run("purge_sessions") == {"deleted": 2}
    assert [row["session_id"] for row in bench.db.query("SELECT session_id FROM ended "
                                                        "ORDER BY session_id")] == [1, 2]
    bench.db.close()


def test_times_with_fractions_of_a_second_are_compared_as_they_are(tmp_path, fresh):
    bench = Bench(tmp_path, adopted.make(fresh("app"), types=OTHER_TYPES), adopted.TABLES,
                  adopted.COLUMNS)
    bench.table("sessions", [{"id": 1, "expires_at": "2026-11-24 14:30:04.999999"},
                             {"id": 2, "expires_at": "2026-11-24 14:30:05.000001"}])
    assert bench.run("purge_sessions") == {"deleted": 1}
    assert bench.ids("sessions") == [2]
    bench.db.close()
