"""What the user of the jobs may not do with an app's tables is named before a job fails by it."""
from __future__ import annotations

import pytest

from jobs_lib import catalogue, clock
from jobs_lib.database.connection import connect
from jobs_lib.database.schema import app_gaps, ddl
from jobs_lib.database.schema.tables import table
from jobs_lib.database.schema.works_on import of_all, works_on
from jobs_lib.runner import table_gaps

FOUR = "SELECT, INSERT, UPDATE, DELETE"


@pytest.fixture
def shop(line, mariadb):
    """jobs.py whose user has all rights on its own database, and some on the app's."""
    url, theirs = mariadb.database(), mariadb.database()
    own, shop = (each.partition("?")[0].rpartition("/")[2] for each in (url, theirs))
    db = connect(theirs)
    for name in ("users", "sessions", "magic_links"):
        for sql in ddl.create_table(db, table(name)):
            db.execute(sql)
    db.execute("INSERT INTO {sessions} (user_id, token_hash, expires_at) VALUES (1, 'x', :now)",
               now=clock.now())
    db.execute("CREATE TABLE labels (id INT PRIMARY KEY, user_id BIGINT) ENGINE=InnoDB")
    mariadb.root("CREATE OR REPLACE USER 'clerk'@'%' IDENTIFIED BY 'hunter2hunter2'")
    mariadb.root(f"GRANT ALL ON `{own}`.* TO 'clerk'@'%'")
    mariadb.root(f"GRANT SELECT ON `{shop}`.* TO 'clerk'@'%'")
    mariadb.root(f"GRANT {FOUR} ON `{shop}`.`magic_links` TO 'clerk'@'%'")
    line.url = f"mysql://clerk:hunter2hunter2@localhost/{own}?unix_socket={mariadb.socket}"
    text = (f"[core]\ndatabase = {line.url}\nstate_dir = state\nlog_dir = log\n[tables]\n"
             f"users = {shop}.users\nsessions = {shop}.sessions\nmagic_links = {shop}.magic_links\n"
             f"[delete_accounts]\nalso = {shop}.labels.user_id\n")
    line.ini(text)
    line.text = text
    line.add = lambda name: line.ini(text.replace("[tables]", f"[tables]\n{name}"))
    line.shop, line.own, line.root, line.theirs = shop, own, mariadb.root, theirs
    yield line
    db.close()
    mariadb.drop(url)
    mariadb.drop(theirs)
    mariadb.root("DROP USER 'clerk'@'%'")


def test_a_right_that_is_missing_is_named_with_its_grant(shop):        # R75
    grant = f"GRANT DELETE ON `{shop.shop}`.`sessions` TO 'clerk'@'%'"
    sentence = (f"clerk@% has no right to DELETE {shop.shop}.sessions: ask the database "
                f"administrator to run {grant}")
    made = shop.run("migrate", "--own-tables")
    assert sentence in made.splitlines()
    assert sentence in shop.run("migrate", "--check", code=1).splitlines()
    refused = {job["name"]: job["refuses"] for job in shop.json("adopt")["jobs"]}
    assert refused["purge_sessions"] == sentence
    assert refused["purge_magic_links"] is None
    for words in (f"has no right to UPDATE {shop.shop}.users",
                  f"[delete_accounts] also names {shop.shop}.labels, and clerk@% has no right"):
        assert words in made
    what, _, fix = sentence.partition(": ")
    finding, = (each for each in shop.json("doctor", "--offline", code=1) if each["what"] == what)
    assert (finding["level"], finding["fix"]) == ("problem", f"{fix[0].upper()}{fix[1:]}.")
    shop.run("adopt", "--confirm", "purge_sessions", "purge_magic_links", code=1)
    assert shop.job("purge_magic_links")["status"] == "ok"
    shop.root(grant)
    shop.run("adopt", "--confirm", "purge_sessions")
    assert shop.job("purge_sessions")["counts"] == {"deleted": 1}


def test_rights_on_single_columns_are_enough(shop):                    # R75
    """Those that the jobs write."""
    shop.root(f"GRANT DELETE, UPDATE (status, deleted_at) ON `{shop.shop}`.`users` TO 'clerk'@'%'")
    assert "right to UPDATE" not in shop.run("migrate", "--own-tables")
    shop.root(f"REVOKE UPDATE (deleted_at) ON `{shop.shop}`.`users` FROM 'clerk'@'%'")
    assert f"right to UPDATE {shop.shop}.users" in shop.run("migrate", "--own-tables")


def test_a_right_on_one_column_concerns_the_jobs_that_write_it(shop):                # R75
    """Not the others that write the table."""
    shop.root(f"CREATE TABLE `{shop.shop}`.aliases (id BIGINT PRIMARY KEY, user_id BIGINT, "
              "domain_id BIGINT, address VARCHAR(99), active TINYINT NOT NULL, expires_at "
              "DATETIME, expiry_notified_at DATETIME, created_at DATETIME) ENGINE=InnoDB")
    shop.root(f"GRANT SELECT, DELETE, UPDATE (active) ON `{shop.shop}`.aliases TO 'clerk'@'%'")
    shop.root(f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{shop.shop}`.users TO 'clerk'@'%'")
    shop.add(f"aliases = {shop.shop}.aliases")
    made = shop.run("migrate", "--own-tables")
    assert (f"clerk@% has no right to UPDATE {shop.shop}.aliases.expiry_notified_at: ask the "
            "database administrator to run GRANT UPDATE (`expiry_notified_at`) ON "
            f"`{shop.shop}`.`aliases` TO 'clerk'@'%'") in made.splitlines()
    code = "aliases.expiry_notified_at:may_not_update:clerk@%25"
    assert [job.name for job in catalogue.load_all([]) if table_gaps.concerned(job, [code])
            ] == ["expire_aliases"]
    assert (f"expire_aliases stays off: clerk@% has no right to UPDATE {shop.shop}.aliases."
            "expiry_notified_at") in shop("adopt", "--confirm", "expire_aliases").err


def test_a_right_on_what_an_expression_writes_is_asked_for(shop):                    # R75
    """Without it a result is not stored, and a message that was sent is sent again."""
    db = connect(shop.theirs)
    for sql in ddl.create_table(db, table("failed_emails")):
        db.execute(sql)
    db.execute("ALTER TABLE failed_emails ADD COLUMN reply INT NULL")
    db.close()
    written = [column for column in works_on(catalogue.load("retry_forwards"))[
        "failed_emails"].written if column != "last_code"]
    shop.root(f"GRANT UPDATE ({', '.join(written)}) ON `{shop.shop}`.failed_emails TO 'clerk'@'%'")
    shop.root(f"GRANT DELETE ON `{shop.shop}`.failed_emails TO 'clerk'@'%'")
    shop.ini(shop.text.replace("[tables]", f"[tables]\nfailed_emails = {shop.shop}.failed_emails")
             + "[columns]\nfailed_emails.last_code = reply + 0\n    write reply = :value\n")
    grant = f"GRANT UPDATE (`reply`) ON `{shop.shop}`.`failed_emails` TO 'clerk'@'%'"
    assert ("clerk@% has no right to UPDATE [columns] failed_emails.last_code: ask the database "
            f"administrator to run {grant}") in shop.run("migrate", "--own-tables").splitlines()
    assert "[columns] failed_emails.last_code" in shop("adopt", "--confirm", "retry_forwards").err
    shop.root(grant)
    assert "failed_emails.last_code" not in shop.run("migrate", "--own-tables")


AUDIT_LOGS = ("(id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, user_id BIGINT, actor VARCHAR(99) "
              "NOT NULL, event VARCHAR(99) NOT NULL, severity VARCHAR(9) NOT NULL, ip VARCHAR(45) "
              "NOT NULL, details LONGTEXT, created_at DATETIME) ENGINE=InnoDB")


def test_a_table_to_which_rows_may_only_be_added_keeps_no_job_from_running(shop):    # R75
    shop.root(f"CREATE TABLE `{shop.shop}`.audit_logs {AUDIT_LOGS}")
    shop.root(f"REVOKE SELECT ON `{shop.shop}`.* FROM 'clerk'@'%'")
    shop.root(f"GRANT INSERT ON `{shop.shop}`.audit_logs TO 'clerk'@'%'")
    shop.ini(shop.text.replace("[tables]", f"[tables]\naudit_logs = {shop.shop}.audit_logs")
             + "[columns]\naudit_logs.actor = LOWER(actor)\n    write actor = :value\n")
    shop.run("migrate", "--own-tables")
    said = [text for text in shop.run("migrate", "--check", code=1).splitlines()
            if "audit_logs" in text]
    assert ["right to DELETE" in text for text in said] == [True]       # for archive_audit_logs
    shop.run("adopt", "--confirm", "purge_magic_links")
    assert shop.job("purge_magic_links")["status"] == "ok"


def test_an_empty_look_alike_of_a_table_that_may_not_be_read_is_not_named(shop):      # R75
    for name in ("audit_logs", "bj_audit_logs"):
        shop.root(f"CREATE TABLE `{shop.own}`.{name} {AUDIT_LOGS}")
    shop.root(f"REVOKE ALL ON `{shop.own}`.* FROM 'clerk'@'%'")
    shop.root(f"GRANT SELECT, INSERT ON `{shop.own}`.audit_logs TO 'clerk'@'%'")
    shop.root(f"GRANT INSERT ON `{shop.own}`.bj_audit_logs TO 'clerk'@'%'")
    db = connect(shop.url, prefix="bj_")
    assert app_gaps.bare(db, of_all()) == []
    db.close()


def test_who_may_add_rows_and_not_read_them_has_that_right(shop):                    # R75
    shop.root(f"CREATE TABLE `{shop.shop}`.audit_logs {AUDIT_LOGS}")
    columns = "(user_id, actor, event, severity, ip, details, created_at)"
    shop.root(f"REVOKE SELECT ON `{shop.shop}`.* FROM 'clerk'@'%'")
    shop.root(f"GRANT INSERT {columns} ON `{shop.shop}`.audit_logs TO 'clerk'@'%'")
    shop.add(f"audit_logs = {shop.shop}.audit_logs")
    assert "right to INSERT" not in shop.run("migrate", "--own-tables")
    shop.root(f"REVOKE INSERT (details) ON `{shop.shop}`.audit_logs FROM 'clerk'@'%'")
    shop.root(f"GRANT SELECT (details) ON `{shop.shop}`.audit_logs TO 'clerk'@'%'")
    assert (f"right to INSERT {shop.shop}.audit_logs.details: ask the database administrator to "
            f"run GRANT INSERT (`details`) ON `{shop.shop}`.`audit_logs` TO"
            ) in shop.run("migrate", "--own-tables")


def test_who_may_only_read_the_jobs_own_tables_is_told_so_before_a_run(shop):        # R75
    shop.run("migrate", "--own-tables")
    own = shop.own
    shop.root(f"REVOKE ALL ON `{own}`.* FROM 'clerk'@'%'")
    shop.root(f"GRANT SELECT ON `{own}`.* TO 'clerk'@'%'")
    grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{own}`.* TO 'clerk'@'%'"
    said = ("clerk@% may not write the jobs' own tables: ask the database administrator to run "
            f"{grant}")
    assert said in shop.run("migrate", "--check", code=1).splitlines()
    assert said in " ".join(shop.run("adopt").split())
    assert "command denied" in shop("adopt", "--confirm").err
    shop.root(grant)
    assert said not in shop.run("migrate", "--check", code=1)
    assert said not in " ".join(shop.run("adopt").split())


def test_a_table_that_is_seen_and_may_not_be_read_ends_no_command(shop):               # R75
    shop.root(f"REVOKE SELECT ON `{shop.shop}`.* FROM 'clerk'@'%'")
    shop.root(f"GRANT INSERT, UPDATE, DELETE ON `{shop.shop}`.`users` TO 'clerk'@'%'")
    shop.root(f"GRANT {FOUR} ON `{shop.shop}`.`sessions` TO 'clerk'@'%'")
    shop.run("migrate", "--own-tables")
    jobs = {job["name"]: job for job in shop.json("adopt")["jobs"]}
    assert (jobs["purge_sessions"]["refuses"], jobs["purge_sessions"]["not_counted"]
            ) == (None, None)
    assert [each["what"] for each in shop.json("doctor", "--offline", code=1)
            if "did not finish" in each["what"]] == []


def test_a_further_table_that_may_not_be_seen_is_named_once(shop):                     # R75
    shop.root(f"REVOKE SELECT ON `{shop.shop}`.* FROM 'clerk'@'%'")
    shop.root(f"GRANT {FOUR} ON `{shop.shop}`.`users` TO 'clerk'@'%'")
    said = [text for text in shop.run("migrate", "--own-tables").splitlines() if "labels" in text]
    assert said == [(f"[delete_accounts] also names {shop.shop}.labels, which is not there, or "
                     "which the user of [core] database may not see: correct it, or take it out")]
