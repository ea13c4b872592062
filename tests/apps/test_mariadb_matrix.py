"""Whatever an app's MariaDB is set to and its tables are made of: each job does there what it does
on tables of our own, and nothing twice.

Each variant is a row of a table: what the server is told, how the app's statements that make its
tables differ from ours, what they are called, and what the jobs' user may do. Its tables are made
by a client with the server's own settings.
"""
from __future__ import annotations

import re
from collections import namedtuple
from datetime import timedelta

import pytest

from tests.apps.test_text_keys import OF_RUNS, outcome, story
from tests.servers.mariadb import MariaDB
from tests.support import databases
from tests.support.bench import Bench
from tests.support.db import run_sql
from tests.support.product import NAMES, app_tables, connect, ddl, references, table
from tests.test_hostile_rows import JOBS, configured, healthy

Variant = namedtuple("Variant", "name settings change after tables options rights",
                     defaults=("", None, (), {}, (), ""))
Variant.__doc__ = """One way in which an app's database differs.

settings  `SET GLOBAL` of these, for all who connect     options  of a server of its own
change    function of a table's name and the CREATE TABLE: what the app has in its place
after     further statements    rights  of the jobs' user, once `migrate` was run by another
tables    what the app calls them
"""
OURS = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
DAYS = 2


def types(**replaced: str):
    """Other types: `DATETIME="TIMESTAMP"`; a word each."""
    def change(_name: str, sql: str) -> str:
        for ours, theirs in replaced.items():
            sql = re.sub(rf"(?m)^(  `\w+` ){ours}\b", rf"\g<1>{theirs}", sql)
        return sql
    return change


UNSIGNED = types(BIGINT="BIGINT UNSIGNED", INT="INT UNSIGNED", TINYINT="TINYINT UNSIGNED")


def timestamps(_name: str, sql: str) -> str:
    """As many apps have them, with the default that MariaDB gives the first of a table left out."""
    sql = re.sub(r"DATETIME NOT NULL DEFAULT \(UTC_TIMESTAMP\(\)\)",
                 "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP", sql)
    return re.sub(r"(?m)^(  `\w+`) DATETIME NOT NULL(,?)$",
                  r"\1 TIMESTAMP NOT NULL DEFAULT '2000-01-01 00:00:00'\2",
                  sql).replace("DATETIME", "TIMESTAMP")


def odd_types(name: str, sql: str) -> str:
    """Several of these at once, and another character set."""
    sql = timestamps(name, sql).replace(OURS, "ENGINE=InnoDB DEFAULT CHARSET=latin1")
    return UNSIGNED(name, sql.replace(" CHARACTER SET ascii COLLATE ascii_bin", ""))


def triggers() -> list[str]:
    """The app keeps a journal of all that happens to its rows."""
    journal = ("CREATE TABLE journal (no INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(200)) "
               "ENGINE=InnoDB")
    return [journal, *(f"CREATE TRIGGER {name}_{when} AFTER {when} ON {name} FOR EACH ROW "
                       f"INSERT INTO journal (what) VALUES ('{when} of {name}')"
                       for name in app_tables.TABLES for when in ("INSERT", "UPDATE", "DELETE"))]


def foreign_keys() -> list[str]:
    """Between the app's tables, where a row goes with another."""
    return ["SET foreign_key_checks = 0", *(
        f"ALTER TABLE {one.table} ADD CONSTRAINT {one.table}_{one.column} FOREIGN KEY "
        f"({one.column}) REFERENCES {one.target} (id) ON DELETE CASCADE" for one in references()
        if {one.table, one.target} <= set(app_tables.TABLES) and one.goes == "with")]


VIEWS = tuple(sql for name in app_tables.TABLES
              for sql in (f"RENAME TABLE {name} TO stored_{name}",
                          f"CREATE VIEW {name} AS SELECT * FROM stored_{name}"))
RESERVED = dict(zip(app_tables.TABLES, (
    "order", "group", "table", "select", "where", "index", "key", "from", "limit", "desc", "rank",
    "range", "union", "values", "window", "trigger", "system")))

VARIANTS = (
    Variant("lower_case_names", tables={name: "App" + name.title().replace("_", "")
                                        for name in app_tables.TABLES},
            options=("--lower-case-table-names=1",)),
    Variant("few_rights", rights="SELECT, INSERT, UPDATE, DELETE"),
    Variant("timestamp", "time_zone = '+09:30'", timestamps),
    Variant("fractions", change=types(DATETIME=r"DATETIME(6)")),
    Variant("all_at_once", "sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO'",
            odd_types, tables=RESERVED),
    Variant("triggers", after=triggers()), Variant("cascade", after=foreign_keys()),
    Variant("views", after=VIEWS))


@pytest.fixture(scope="module")
def plain(mariadb, tmp_path_factory):
    """What every job does on tables of our own, and what is left then."""
    url = mariadb.database()
    bench = Bench(tmp_path_factory.mktemp("plain"), url)
    found = told(bench)
    assert len(found[-1]["mail"]) == len(set(found[-1]["mail"])) > 5
    bench.db.close()
    mariadb.drop(url)
    return found


@pytest.fixture
def server(request, mariadb):
    """The server of a variant, with its settings for all who connect."""
    variant = request.getfixturevalue("variant")
    if variant.options:
        with MariaDB(*variant.options) as made:
            yield made
        return
    name, _, value = variant.settings.partition(" = ")
    before = mariadb.root(f"SELECT @@GLOBAL.{name}")[0][0] if name else None
    if name:
        mariadb.root(f"SET GLOBAL {name} = {value}")
    yield mariadb
    if name:
        mariadb.root(f"SET GLOBAL {name} = '{before}'")


def made(server, variant) -> str:
    """The URL of a database with the app's tables, then ours, for the jobs' user."""
    url = server.database()
    db = connect(url, tables=variant.tables)
    ours = [(name, sql) for name in app_tables.TABLES for sql in ddl.create_table(db, table(name))]
    db.close()
    statements = [variant.change(name, sql) if variant.change else sql for name, sql in ours]
    assert (statements != [sql for _, sql in ours]) == bool(variant.change)
    run_sql(url, ";\n".join([*statements, *variant.after]) + ";\n")
    databases.migrated(url, tables=variant.tables).close()
    if variant.rights:
        database = url.partition("?")[0].rpartition("/")[2]
        server.root("CREATE USER IF NOT EXISTS 'clerk'@'%' IDENTIFIED BY 'clerk'")
        server.root(f"GRANT {variant.rights} ON `{database}`.* TO 'clerk'@'%'")
        url = re.sub(r"//.*@", "//clerk:clerk@", url)
    return url


def told(bench: Bench) -> list:
    """Let each job run on a full service, once as a dry run and once for real, and for real a day
    later: how each run ended, and at last all that is stored and was sent."""
    configured(bench)
    on_server = bench.db.dialect.name == "mysql"
    if on_server:                                       # a few rows refer to nothing
        bench.db.execute("SET foreign_key_checks = 0")
    healthy(bench)
    bench.db.execute("UPDATE {users} SET name = :name", name="Zoë d'Ünal")
    if on_server:
        bench.db.execute("SET foreign_key_checks = 1")
    found: list = []
    for day in range(DAYS):
        found += [(job, dry_run, outcome(bench, job, dry_run)) for job in JOBS
                  for dry_run in ((False,) if day else (True, False))]
        bench.now += timedelta(days=1)
        bench.clock.seconds += 86_400
    return [*found, {**story(bench), "times": {name: times(bench, name) for name in NAMES
                                                if name not in OF_RUNS}}]


def times(bench: Bench, name: str) -> list:
    """What a table has in its columns of times, to the second."""
    columns = [column.name for column in table(name).columns if column.type in ("time", "now")]
    return sorted([str(row[column])[:19] for column in columns] for row in bench.rows(name))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_job_does_the_same_on_whatever_database(tmp_path, plain, server, variant):  # R14 R75
    url = made(server, variant)
    bench = Bench(tmp_path, url, variant.tables)
    assert bench.command("migrate", "--check") == "the schema is up to date\n"
    found = told(bench)
    assert [theirs for theirs, ours in zip(found[:-1], plain) if theirs != ours] == []
    assert {name: (found[-1][name], plain[-1][name]) for name in found[-1]
            if found[-1][name] != plain[-1][name]} == {}
    forwards = [mail.item_id for mail in bench.outbox if mail.item_id is not None]
    assert len(forwards) == len(set(forwards))
    if variant.name == "triggers":
        assert bench.db.value("SELECT COUNT(*) FROM journal") > 50
    bench.db.close()
    server.drop(url)
