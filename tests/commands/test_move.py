"""`move`: from SQLite to MySQL, counted and compared; interrupted anywhere, it goes on."""
from __future__ import annotations

import io
import json
from contextlib import suppress
from urllib.parse import unquote

import pytest

from jobs_lib import catalogue
from jobs_lib.cli.main import main
from jobs_lib.database import moving
from jobs_lib.database.connection import connect
from jobs_lib.database.moving import Move
from jobs_lib.database.schema import NAMES
from jobs_lib.database.schema.tables import table
from jobs_lib.errors import DatabaseError
from jobs_lib.runner.locks import FileLock
from tests.support import databases
from tests.support.shell import Shell, at_sql
from tests.test_hostile_rows import HOSTILE, Octets

DUE = "2026-11-24 10:00:00"


@pytest.fixture
def service(tmp_path, sqlite_url):
    """An installation on SQLite with some rows, its jobs paused."""
    service = Shell(tmp_path, sqlite_url)
    service.forwards(3)
    db = service.db
    for name in catalogue.names():
        db.upsert("job_state", {"job": name}, {"paused_at": DUE})
    db.insert("message_logs", user_id=1, direction="forward", status="delivered", bytes_used=7,
              created_at=DUE)
    db.insert("header_snapshots", message_log_id=1, user_id=1, ciphertext=b"\x00\xff'\\",
              created_at=DUE)
    for day in ("2026-11-23", "2026-11-24"):
        db.insert("usage_daily", user_id=1, day=day, email_count=2 ** 40, bytes_used=-1)
        db.insert("message_stats", user_id=1, alias_id=0, day=day, direction="forward",
                  status="delivered")
    yield service
    service.close()


@pytest.fixture
def target(mariadb_url):
    """The target, with our tables and no rows."""
    database = connect(mariadb_url)
    yield database
    database.close()


@pytest.fixture
def move(service, mariadb_url, capsys):
    """Calls the command: (exit code, its JSON or what it prints)."""
    def call(*words: str, as_json: bool = True, to: str = mariadb_url):
        code = main(["--config", str(service.folder / "config.ini"), "move", "--to", to, *words,
                     *(["--json"] if as_json else [])])
        printed = capsys.readouterr()
        if as_json and printed.out:
            return code, json.loads(printed.out), printed.err
        return code, printed.out, printed.err
    return call


def rows(database) -> dict:
    found = databases.rows(database)
    found["meta"] = [row for row in found["meta"] if not any(
        name in row for name in ("moved_from", "message_totals", "app_tables"))]
    return found


def test_every_row_is_there_under_its_id_and_the_source_is_as_it_was(service, move, target):
    service.db.insert("users", id=900, email="gone@home.example")
    service.db.execute("DELETE FROM {users} WHERE id = 900")
    before = rows(service.db)
    service.db.close()
    del service.db
    files = (service.folder / "jobs.db").read_bytes()
    code, found, _ = move()
    assert code == 0, found
    assert all(table["equal"] for table in found["tables"])
    assert {table["table"] for table in found["tables"]} == set(NAMES)
    assert found["finished"]
    assert "test-pass" not in json.dumps(found)
    assert rows(target) == before
    assert (service.folder / "jobs.db").read_bytes() == files
    # the id of a deleted row is not given again
    assert target.insert("users", email="new@home.example") == 901


def test_the_folders_are_the_new_databases_own(service, move, mariadb_url):
    assert move()[0] == 0
    service.configure(database=mariadb_url)
    service.run("resume", "all")
    assert service.job("retry_forwards", "--dry-run")["counts"]


def test_expressions_stay_those_of_sqlite(service, move, target):
    service.db.execute("DROP VIEW message_totals")
    service.db.execute("ALTER TABLE message_logs RENAME COLUMN bytes_used TO kb")
    target.execute("DROP VIEW message_totals")
    target.execute("ALTER TABLE message_logs CHANGE bytes_used kb BIGINT")
    with open(service.folder / "config.ini", "a") as file:
        file.write("[columns]\nmessage_logs.bytes_used = printf('%d', kb) * 1024\n")
    service.run("migrate")
    code, out, err = move(as_json=False)
    assert code == 0, err
    assert target.value("SELECT kb FROM message_logs") == 7
    assert "write the expressions of [columns] as MySQL has them, and run `jobs.py migrate`" in out
    assert "message_totals" not in target.tables()


def test_what_a_person_sees(service, move):
    code, out, err = move(as_json=False)
    assert code == 0
    assert "note: other users of this machine can see a command line" in err
    lines = out.splitlines()
    assert lines[0].split() == ["TABLE", "ROWS", "EQUAL"]
    assert ["failed_emails", "3", "yes"] in [line.split() for line in lines]
    assert "jobs.py config set core.database" in out
    assert "jobs.py doctor" in out
    assert "jobs.py resume all" in out
    assert all(len(line) <= 80 for line in lines)
    code, out, err = move(as_json=False)                # once more: compared alone
    assert (code, out.splitlines()[0].split()) == (0, ["TABLE", "ROWS", "EQUAL"])


def test_a_dry_run_changes_nothing(move, mariadb):
    url = mariadb.database()
    code, found, _ = move("--dry-run", to=url)
    assert code == 0
    assert not found["finished"]
    assert {"table": "failed_emails", "rows": 3} in found["tables"]
    database = connect(url)
    assert database.tables() == set()
    database.close()
    mariadb.drop(url)


def test_an_empty_database_gets_its_tables(service, move, mariadb):
    url = mariadb.database()
    assert move(to=url)[0] == 0
    database = connect(url)
    assert rows(database) == rows(service.db)
    database.close()
    mariadb.drop(url)


@pytest.mark.parametrize("kill", [
    at_sql("INSERT INTO {failed_emails}", 2), at_sql("INSERT INTO {meta}", 5), at_sql("COMMIT", 30),
    "jobs_lib.database.moving:Move.finish:before", "jobs_lib.database.moving:Move.finish:after"])
def test_a_kill_costs_nothing(service, move, target, mariadb_url, kill):
    small = "jobs_lib.database.moving:BATCH=1,jobs_lib.database.moving:FIRST=1"
    killed = service("move", "--to", mariadb_url, kill=kill, small=small)
    assert killed.code == -9, killed
    assert service.db.value("SELECT COUNT(*) FROM {failed_emails}") == 3
    code, found, err = move()
    assert code == 0, (found, err)
    assert rows(target) == rows(service.db)


def test_a_kill_as_the_tables_are_made_costs_nothing(service, move, mariadb):
    url = mariadb.database()
    killed = service("move", "--to", url, kill=at_sql("CREATE TABLE", 9))
    assert killed.code == -9, killed
    assert move(to=url)[0] == 0
    mariadb.drop(url)


def test_a_stop_at_any_statement_costs_nothing(service, move, target, monkeypatch):
    monkeypatch.setattr(moving, "BATCH", 2)
    monkeypatch.setattr(moving, "FIRST", 1)
    made, left = Move.__init__, [0]

    def stop(sql: str, _values: dict) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    def watched(self, source, goal, *more):
        made(self, source, goal, *more)
        goal.on_statement = stop
    monkeypatch.setattr(Move, "__init__", watched)
    stops = 0
    for number in range(10, 1000, 23):
        left[0] = number
        code, found, err = move()
        if code == 0:
            break
        assert "Ctrl-C" in err
        stops += 1
    assert stops > 5
    assert found["finished"]
    assert rows(target) == rows(service.db)


def test_an_unfinished_copy_is_not_taken_for_the_database(service, target, mariadb_url):
    service("move", "--to", mariadb_url, kill=at_sql("COMMIT", 9))
    name = "SELECT value FROM {meta} WHERE name = 'database_id'"
    assert target.value("SELECT COUNT(*) FROM {users}") == 1
    assert target.value(name) != service.db.value(name)


@pytest.mark.parametrize("table, column, value, what", [
    ("users", "created_at", "2026-11-24 10:00:00.5", "would become"),
    ("users", "created_at", "soon", "datetime"),
    ("users", "created_at", "0000-00-00 00:00:00", "datetime"),
    ("users", "bandwidth_limit_bytes", 1.5, "would become"),
    ("users", "bandwidth_limit_bytes", "many", "integer"),
    ("users", "log_retention_days", 2 ** 40, "range"),
    ("users", "name", "x" * 256, "too long"),
    ("users", "status", "sch\u00f6n", "Incorrect"),
    ("users", "billing_anchor", "2026-11-24 10:00:00", "would become"),
    ("failed_emails", "attempts", float("inf"), "no number"),
])
def test_what_the_target_cannot_hold_is_named(service, move, target, table, column, value, what):
    service.db.execute(f"UPDATE {{{table}}} SET {column} = :value WHERE id = 1", value=value)
    code, found, _ = move()
    assert code == 1
    assert not found["finished"]
    (wrong,) = found["misfits"]
    assert (wrong["table"], wrong["key"], wrong["column"]) == (table, "id 1", column)
    assert what in wrong["what"]
    assert target.value(f"SELECT COUNT(*) FROM {{{table}}}") == 0
    # corrected, it goes on
    service.db.execute(f"UPDATE {{{table}}} SET {column} = :value WHERE id = 1",
                       value=DUE[:10] if column == "billing_anchor" else
                       DUE if column == "created_at" else "5")
    assert move()[0] == 0
    assert rows(target) == rows(service.db)


def test_all_of_them_are_named_at_once_and_nothing_is_lost(service, move):
    service.db.execute("UPDATE {users} SET created_at = 'soon'")
    service.db.execute("UPDATE {failed_emails} SET created_at = '2026-11-24 10:00:00.25'")
    code, found, _ = move()
    assert code == 1
    assert [each["table"] for each in found["misfits"]] == ["users", *["failed_emails"] * 3]
    out = move(as_json=False)[2]
    assert "failed_emails, id 2, created_at: 2026-11-24 10:00:00.25 would become" in out


def test_octets_that_are_no_text_are_named(service, move):
    service.db.execute("UPDATE {users} SET name = CAST(X'ff41' AS TEXT)")
    code, found, _ = move()
    assert (code, found["misfits"][0]["column"]) == (1, "name")


def test_odd_values_that_fit_are_as_they_were(service, move, target):
    service.db.execute("UPDATE {users} SET name = :name", name="a\x00'\\\u202e\U0001f600\ufffd ")
    service.db.execute("UPDATE {failed_emails} SET last_error = :text, last_attempt_at = NULL",
                       text="x" * 300_000)
    service.db.execute("UPDATE {failed_emails} SET next_attempt_at = '2026-11-23T10:00:00Z' "
                       "WHERE id = 2")
    assert move()[0] == 0
    assert target.value("SELECT name FROM {users}") == "a\x00'\\\u202e\U0001f600\ufffd "
    assert target.value("SELECT MIN(LENGTH(last_error)) FROM {failed_emails}") == 300_000
    assert target.value("SELECT next_attempt_at FROM {failed_emails} WHERE id = 2") \
        == "2026-11-23 10:00:00"


def test_fractions_are_cut_off_on_demand_and_counted(service, move, target):
    service.db.execute("UPDATE {users} SET created_at = '2026-11-24 23:59:59.9'")
    code, found, _ = move("--whole-seconds")
    assert code == 0
    assert found["cut"] == 1
    assert move()[1]["finished"]
    assert target.value("SELECT created_at FROM {users}") == "2026-11-24 23:59:59"


def test_a_target_with_rows_of_others_is_refused(move, target):
    target.insert("users", email="theirs@home.example")
    code, _, err = move()
    assert code == 1
    assert "holds rows already (users)" in err
    assert target.value("SELECT COUNT(*) FROM {users}") == 1


def test_the_move_of_another_database_is_not_continued(service, move, mariadb_url):
    service("move", "--to", mariadb_url, kill=at_sql("COMMIT", 9))
    service.db.execute("UPDATE {meta} SET value = 'another' WHERE name = 'database_id'")
    code, _, err = move()
    assert code == 1
    assert "the move of another database" in err


def test_a_source_that_changes_meanwhile_is_found_out(service, move, target, monkeypatch):
    compare = Move.compare

    def meanwhile(self, finished):
        service.db.execute("UPDATE {users} SET name = 'Changed'")
        return compare(self, finished)
    monkeypatch.setattr(Move, "compare", meanwhile)
    code, found, _ = move()
    assert (code, found["changed"], found["finished"]) == (1, ["users"], False)
    monkeypatch.undo()
    code, _out, err = move(as_json=False)
    assert code == 1
    assert "users differ" in err
    assert target.value("SELECT name FROM {users}") == "Jo"


def test_jobs_that_are_not_paused_or_are_at_work_stop_it(service, move):
    service.db.execute("UPDATE {job_state} SET paused_at = NULL WHERE job = 'rollup_usage'")
    code, _, err = move()
    assert code == 1
    assert "rollup_usage" in err
    assert "pause all" in err
    service.run("pause", "all")
    lock = FileLock(str(service.folder / "state"), "retry_forwards")
    lock.acquire("process 7")
    code, _, err = move()
    assert code == 1
    assert "retry_forwards is at work (process 7)" in err
    lock.release()
    assert move()[0] == 0


def test_a_column_that_the_target_lacks_stops_it(service, move):
    service.db.execute("ALTER TABLE users ADD COLUMN plan TEXT")
    code, _, err = move()
    assert code == 1
    assert "the column users.plan" in err


def test_tables_of_others_are_named(service, move):
    service.db.execute("CREATE TABLE plans (id INTEGER)")
    assert move()[1]["not_copied"] == ["plans"]


@pytest.mark.parametrize("to, said", [
    ("sqlite:///other.db", "expected mysql://user:password@host:3306/name"),
    ("mysql://jobs", "expected mysql://"),
    ("nonsense", "expected sqlite:///file.db or mysql://"),
])
def test_a_wrong_target_is_refused_in_a_sentence(move, to, said):
    code, _, err = move(to=to)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


def test_a_target_that_refuses_us_is_said_of_the_option(move, mariadb_url):
    code, _, err = move(to=mariadb_url.replace("test-pass", "wrong"))
    assert code == 1
    assert "wrong name or password in --to" in err
    assert "word%2F1" not in err


def test_the_password_is_read_from_stdin(service, move, mariadb_url, monkeypatch, target):
    login, _, rest = mariadb_url.partition("@")
    scheme, _, login = login.partition("://")
    user, _, password = login.partition(":")
    monkeypatch.setattr("sys.stdin", io.StringIO(unquote(password) + "\n"))
    code, _found, err = move(to=f"{scheme}://{user}@{rest}")
    assert (code, err) == (0, "")
    assert target.value("SELECT COUNT(*) FROM {users}") == 1


def test_an_apps_own_tables_and_columns_are_copied_under_their_names(service, move, mariadb_url,
                                                                     target):
    lax = databases.lax(mariadb_url)
    for database in (service.db, lax):
        database.execute("ALTER TABLE users RENAME TO members")
        database.execute("ALTER TABLE members RENAME COLUMN email TO mail")
        database.execute("ALTER TABLE members RENAME COLUMN id TO number")
        database.execute("ALTER TABLE members ADD COLUMN plan VARCHAR(20)")
        database.execute("UPDATE members SET plan = 'gold'")
    lax.close()
    service.configure("tables", users="members")
    service.configure("columns", **{"users.email": "mail", "users.id": "number"})
    code, found, err = move()
    assert code == 0, (found, err)
    assert target.query("SELECT number, mail, plan FROM members") == [
        {"number": 1, "mail": "owner@home.example", "plan": "gold"}]


def test_hostile_rows_are_moved_as_they_are_or_named(service, move, target, monkeypatch):
    monkeypatch.setattr(moving, "MOST_PROBLEMS", 10_000)
    rows_of = {"users": {"email": "a@home.example"},
               "failed_emails": {"user_id": 1, "alias_id": 1, "envelope_to": "a@home.example",
                                 "raw_path": "x"},
               "usage_events": {"user_id": 1, "cycle_start": "2026-11-01", "metric": "bandwidth",
                                "threshold": 60},
               "header_snapshots": {"message_log_id": 1, "user_id": 1}}
    put = 0
    for name, row in rows_of.items():
        for column in table(name).columns[1:]:
            for value in HOSTILE:
                marked, bound = (":value", value) if not isinstance(value, Octets) else (
                    "CAST(:value AS TEXT)", value.stored)
                values = {**row, column.name: None}
                named = ", ".join(values)
                marks = ", ".join(marked if each == column.name else f":{each}" for each in values)
                with suppress(DatabaseError):           # SQLite refuses some itself
                    service.db.execute(f"INSERT INTO {{{name}}} ({named}) VALUES ({marks})",
                                       **{**values, "value": bound})
                    put += 1
    assert put > 1000
    all_wrong = set()
    # what only collides with another row is found when nothing else is wrong
    while (result := move())[0]:
        misfits = result[1]["misfits"]
        wrong = {(each["table"], each["key"].split()[-1]) for each in misfits}
        assert wrong
        assert not wrong & all_wrong
        assert all(each["column"] or "unique key" in each["what"] for each in misfits)
        for name, key in wrong:
            service.db.execute(f"DELETE FROM {{{name}}} WHERE id = :id", id=int(key))
        all_wrong |= wrong
    assert 100 < len(all_wrong) < put - 300
    assert result[1]["finished"]
    for name in rows_of:
        assert target.value(f"SELECT COUNT(*) FROM {{{name}}}") > 20
    for text in ("a\r\nBcc: b@example.org", "\x00\x1b[31m\x07\u202e", "-1"):
        assert target.value("SELECT COUNT(*) FROM {users} WHERE name = :text", text=text) == 1
