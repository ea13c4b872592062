"""An app's own foreign keys say where its columns lead, and what is deleted besides."""
from __future__ import annotations

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.database.dialects import target
from jobs_lib.database.schema.app_gaps import lacking
from tests.support import adopted, client
from tests.support.bench import Bench

# {its key: what it is found to be}
KEYS = {
    # an alias has its destination, or its latest message, in a column of its own
    "app_aliases (box) REFERENCES app_destinations (its_id) ON DELETE CASCADE":
        ["destinations:takes:of_box:app_aliases"],
    "app_aliases (box) REFERENCES app_message_logs (its_id) ON DELETE CASCADE":
        ["message_logs:takes:of_box:app_aliases"],
    "app_aliases (box) REFERENCES app_destinations (its_id) ON DELETE SET NULL": [],
    "app_users (box) REFERENCES app_destinations (its_id) ON DELETE CASCADE":
        ["destinations:uproots:of_box:app_users"],
    "app_users (box) REFERENCES app_destinations (its_id)":
        ["destinations:held:of_box:app_users"],
    # what the jobs delete, or detach, before that
    "app_aliases (its_domain_id) REFERENCES app_domains (its_id) ON DELETE CASCADE": [],
    "app_aliases (its_user_id) REFERENCES app_users (its_id) ON DELETE CASCADE": [],
    "app_message_logs (box) REFERENCES app_destinations (its_id) ON DELETE CASCADE": [],
    "app_aliases (box) REFERENCES app_destinations (its_id)": [],
    # names that were mixed up
    "app_alias_destinations (its_alias_id) REFERENCES app_destinations (its_id) ON DELETE CASCADE":
        ["alias_destinations.alias_id:elsewhere:app_destinations.its_id:app_aliases.its_id"],
    "app_message_logs (its_user_id) REFERENCES contacts (id) ON DELETE CASCADE":
        ["message_logs.user_id:elsewhere:contacts.id:app_users.its_id"],
    # a row of users for each contact, by the same key
    ("app_message_logs (its_user_id) REFERENCES contacts (id); "
     "app_users (its_id) REFERENCES contacts (id)"): [],
    # members that are users with more columns, by the same key
    ("app_message_logs (its_user_id) REFERENCES contacts (id); "
     "contacts (id) REFERENCES app_users (its_id) ON DELETE CASCADE"): [],
}


@pytest.fixture
def url(mariadb):
    made = adopted.make(mariadb.database())
    yield made
    mariadb.drop(made)


@pytest.fixture
def db(url):
    db = connect(url, tables=adopted.TABLES, columns=adopted.COLUMNS)
    db.execute("CREATE TABLE contacts (id BIGINT PRIMARY KEY)")
    for name in ("app_aliases", "app_users", "app_message_logs"):
        db.execute(f"ALTER TABLE {name} ADD COLUMN box BIGINT")
    yield db
    db.close()


def add(db, key: str) -> None:
    for number, one in enumerate(key.split("; ")):
        table, _, rest = one.partition(" ")
        db.execute(f"ALTER TABLE {table} ADD CONSTRAINT of_box{number or ''} FOREIGN KEY {rest}")


@pytest.mark.parametrize("key", KEYS)
def test_what_they_delete_and_where_they_lead(db, key):                            # R75
    before = lacking(db)
    add(db, key)
    assert [code for code in lacking(db) if code not in before] == KEYS[key]


def test_where_they_lead_from_another_database(db, url, mariadb):                  # R75
    elsewhere = mariadb.database()
    here, there = (target(one, ".").database for one in (url, elsewhere))
    db.execute(f"CREATE TABLE {there}.app_sessions LIKE app_sessions")
    db.execute(f"ALTER TABLE {there}.app_sessions ADD FOREIGN KEY (its_user_id) REFERENCES "
               f"{here}.app_users (its_id) ON DELETE CASCADE")
    names = {**adopted.TABLES, "sessions": f"{there}.app_sessions"}
    other = connect(url, tables=names, columns=adopted.COLUMNS)
    assert lacking(other) == lacking(db)
    other.close()
    mariadb.drop(elsewhere)


LINKS = ("CREATE {}VIEW links AS SELECT its_id AS its_alias_id, box AS its_destination_id "
         "FROM app_aliases")


def test_rows_deleted_through_a_view_are_those_of_its_table(url):                  # R75
    """Where an app forwards to its users' own address, or has the destination in the alias."""
    names = {**adopted.TABLES, "alias_destinations": "links", "destinations": "outer_view"}
    client.run(url, f"""
        ALTER TABLE app_aliases ADD COLUMN box BIGINT,
            ADD FOREIGN KEY (box) REFERENCES app_destinations (its_id) ON DELETE CASCADE;
        {LINKS.format("")};
        CREATE VIEW inner_view AS SELECT its_id, its_id AS its_user_id, its_email, its_created_at,
            its_deleted_at AS its_verified_at, its_deleted_at AS its_reminded_at,
            its_deleted_at AS its_removal_notified_at FROM app_users;
        CREATE VIEW outer_view AS SELECT * FROM inner_view WHERE its_id > 0;
    """)
    db = connect(url, tables=names, columns=adopted.COLUMNS)
    assert [code for code in lacking(db) if ":shared" in code] == [
        "destinations:shared:app_users", "alias_destinations:shared:app_aliases"]
    db.close()
    client.run(url, f"{LINKS.format('OR REPLACE ')} UNION SELECT 1, 1;\n")
    db = connect(url, tables=names, columns=adopted.COLUMNS, readonly=True)     # as `adopt` looks
    assert [code for code in lacking(db) if ":shared" in code] == ["destinations:shared:app_users"]
    db.close()


def test_a_view_that_shows_the_destinations_of_aliases_is_only_read(tmp_path, blank_url):   # R75
    """Those that an alias uses stay, and an account is deleted with its own."""
    url, is_server = adopted.make(blank_url), not blank_url.startswith("sqlite")
    client.run(url, "ALTER TABLE app_aliases ADD COLUMN box BIGINT;\n"
                    f"{LINKS.format('ALGORITHM = TEMPTABLE ' if is_server else '')};\n")
    if is_server:
        client.run(url, "ALTER TABLE app_aliases ADD FOREIGN KEY (box) REFERENCES "
                        "app_destinations (its_id) ON DELETE CASCADE;\n")
    bench = Bench(tmp_path, url, {**adopted.TABLES, "alias_destinations": "links"},
                  adopted.COLUMNS)
    bench.table("users", [{"id": 1, "email": "a@home.example"},
                          {"id": 2, "status": "deleted", "deleted_at": bench.ago(days=8)}])
    bench.table("destinations", [{"id": number, "user_id": user, "email": "b@home.example",
                                  "created_at": bench.ago(days=40), "removal_notified_at":
                                  bench.ago(days=4)} for number, user in ((1, 1), (2, 1), (3, 2))])
    bench.table("aliases", [{"id": number, "user_id": user, "address": f"{number}@alias.example"}
                            for number, user in ((1, 1), (3, 2))])
    bench.db.execute("UPDATE app_aliases SET box = its_id")
    assert bench.run("delete_accounts")["erased"] == 1
    assert bench.run("expire_destination_verifications")["removed"] == 1
    assert bench.ids("destinations") == bench.ids("aliases") == [1]
    assert len(bench.rows("retired_addresses")) == 1
    bench.db.close()


def test_where_they_lead_in_sqlite(tmp_path):                                      # R75
    url = adopted.make(f"sqlite:///{tmp_path}/jobs.db")
    db = connect(url, tables=adopted.TABLES, columns=adopted.COLUMNS)
    db.execute("CREATE TABLE contacts (id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE links (id INTEGER PRIMARY KEY, its_alias_id BIGINT REFERENCES "
               "contacts, its_destination_id BIGINT REFERENCES app_destinations (its_id))")
    db.close()
    db = connect(url, tables={**adopted.TABLES, "alias_destinations": "links"},
                 columns=adopted.COLUMNS)
    assert [code for code in lacking(db) if "elsewhere" in code] == [
        "alias_destinations.alias_id:elsewhere:contacts:app_aliases.its_id"]
    db.close()


def test_no_alias_is_deleted_with_an_unverified_destination(tmp_path, url):        # R75
    client.run(url, "ALTER TABLE app_aliases ADD COLUMN box BIGINT, ADD CONSTRAINT of_box FOREIGN "
                    "KEY (box) REFERENCES app_destinations (its_id) ON DELETE CASCADE;\n")
    bench = Bench(tmp_path, url, adopted.TABLES, adopted.COLUMNS)
    assert bench.fails("expire_destination_verifications") == (
        "nothing was done: the foreign key of_box of app_aliases deletes its rows with those of "
        "app_destinations (ON DELETE CASCADE): give it ON DELETE SET NULL, or switch off the job "
        "that deletes those (docs/adoption.md, Foreign keys and triggers)")
    assert bench.run("delete_accounts")["erased"] == 0
    bench.db.close()
