"""What an app's tables have that the jobs cannot work with is read from the catalogue and named."""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib import clock
from jobs_lib.database.connection import connect
from jobs_lib.database.schema import expression_misfits
from jobs_lib.database.schema.app_gaps import lacking, statements
from jobs_lib.database.schema.misfits import parts
from tests.support import adopted, client

# {what the app has in place of ours: the code}
EVERYWHERE = {
    "sessions.expires_at": ("INTEGER", "sessions.expires_at:number"),
    "failed_emails.last_error": ("VARCHAR(600) NOT NULL DEFAULT ''",
                                 "failed_emails.last_error:not_null"),
    "domains.status": ("VARCHAR(20) GENERATED ALWAYS AS ('pending') VIRTUAL",
                       "domains.status:computed"),
}
WITHOUT_RUNNING = "ENUM('queued', 'ready', 'expired', 'failed') NOT NULL DEFAULT 'queued'"
ON_SERVERS = {
    "webhooks.active": ("BIT(1) NOT NULL DEFAULT 1", "webhooks.active:bits"),
    "magic_links.used_at": ("TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP",
                            "magic_links.used_at:touched"),
    "webhook_deliveries.last_error": ("VARCHAR(100)",
                                      "webhook_deliveries.last_error:short:100:512"),
    "export_requests.status": (WITHOUT_RUNNING, "export_requests.status:enum:running"),
    "header_snapshots.id": ("BINARY(16) NOT NULL PRIMARY KEY", "header_snapshots.id:bytes"),
    "aliases.domain_id": ("VARCHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                          ("aliases.domain_id:unlike:varchar(36)%20CHARACTER%20SET%20utf8mb4%20"
                          "COLLATE%20utf8mb4_bin:app_domains.its_id:char(36)%20CHARACTER%20SET%20"
                          "utf8mb4%20COLLATE%20utf8mb4_general_ci")),
    "users.id": ("BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY", "users.id:large"),
}
# text for keys, that of the app's choice, is no trap
WELCOME = {"domains.id": (("CHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL "
                           "PRIMARY KEY"), "")}
SENTENCES = (
    ("app_sessions.its_expires_at holds numbers where a time in UTC belongs: make it a DATETIME, "
     "or map a column that is; or name an expression in [columns]"),
    ("app_failed_emails.its_last_error is NOT NULL, and the jobs write NULL into it: let it be "
     "NULL"),
    ("app_domains.its_status is computed by the database, and the jobs write it: map a column that "
     "can be written"),
)
SENTENCES_OF_SERVERS = (
    "app_webhooks.its_active is a BIT, which is read as bytes: make it a TINYINT(1)",
    ("app_magic_links.its_used_at changes with each update of its row (ON UPDATE): take that from "
     "the column, or map another"),
    ("app_webhook_deliveries.its_last_error takes 100 characters, and up to 512 are written: make "
     "it longer"),
    ("app_export_requests.its_status is an ENUM that does not have running, which the jobs write: "
     "add it to its values"),
    ("app_header_snapshots.its_id holds bytes, and keys are whole numbers or text: map a column "
     "that is, such as a generated one"),
    ("app_aliases.its_domain_id (varchar(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin) and "
     "app_domains.its_id (char(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci), which it "
     "refers to, compare keys differently: give both the same type and collation, or name the "
     "right table in [tables]"),
    "app_users.its_id has a number above 2^63 - 1: the jobs can use only smaller ones",
    ("the foreign key of_session of devices keeps rows of app_sessions from being deleted: give it "
     "ON DELETE CASCADE or SET NULL"),
    ("the table app_spam_quarantine is MyISAM, which has no transactions: ALTER TABLE "
     "`app_spam_quarantine` ENGINE=InnoDB"),
    ("tenant of app_audit_logs has to be given, and the jobs add rows without it: give it a "
     "default; or let [tables] audit_logs name a table that is not there: `jobs.py migrate` makes "
     "it, for what the jobs write"),
)
REFUSE = {"purge_sessions", "retry_forwards", "check_domains"}
REFUSE_ON_SERVERS = {"retry_webhooks", "purge_magic_links", "export_accounts",
                     "purge_spam_quarantine", "expire_aliases", "purge_header_snapshots",
                     "expire_destination_verifications"}


def opened(url: str):
    """A connection that knows the app's names."""
    return connect(url, tables=adopted.TABLES, columns=adopted.COLUMNS)


def replaced(url: str, wrong: dict) -> list[str]:
    """Make the app's tables with these columns in place of ours; the codes."""
    adopted.make(url, types={}, columns={name: sql for name, (sql, _) in wrong.items()})
    return [code for _, code in wrong.values() if code]


@pytest.fixture
def app(line, blank_url):
    """jobs.py beside an app's database with every trap at once."""
    server = not blank_url.startswith("sqlite")
    codes = replaced(blank_url, {**EVERYWHERE, **({**ON_SERVERS, **WELCOME} if server else {})})
    db = opened(blank_url)
    db.execute("INSERT INTO {message_logs} (user_id, direction, status, created_at) VALUES "
               "(1, 'forward', 'delivered', :later)", later=clock.now() + timedelta(hours=5))
    if server:
        db.execute("CREATE TABLE devices (session_id BIGINT, CONSTRAINT of_session FOREIGN KEY "
                   "(session_id) REFERENCES app_sessions (its_id))")
        db.execute("ALTER TABLE app_spam_quarantine ENGINE=MyISAM")
        db.execute("ALTER TABLE app_audit_logs ADD COLUMN tenant INT NOT NULL")
        db.execute("INSERT INTO app_users (its_id) VALUES (9223372036854775808)")
        codes += ["sessions:kept:of_session:devices", "spam_quarantine:engine:MyISAM",
                  "audit_logs:required:tenant"]
    line.ini(adopted.ini(blank_url))
    line.app, line.codes, line.server = db, codes, server
    yield line
    db.close()


def test_each_trap_is_found_by_the_catalogue(app):                                 # R75
    assert sorted(lacking(app.app)) == sorted(app.codes)
    assert [sql for sql in statements(app.app) if sql.startswith("ALTER")] == []


def test_each_is_named_and_the_jobs_that_it_concerns_refuse(app):                  # R75
    sentences = (*SENTENCES, *(SENTENCES_OF_SERVERS if app.server else ()))
    made = app.run("migrate", "--own-tables")
    checked = app.run("migrate", "--check", code=1)
    for sentence in sentences:
        assert sentence in made.splitlines()
        assert sentence in checked.splitlines()
    found = app.json("adopt")
    refuse = REFUSE | (REFUSE_ON_SERVERS if app.server else set())
    refused = {job["name"]: job["refuses"] for job in found["jobs"] if job["refuses"]}
    assert refuse <= set(refused)
    assert "app_sessions.its_expires_at holds numbers" in refused["purge_sessions"]
    seen = {finding["what"].lower(): finding for finding in app.json(
        "doctor", "--offline", code=1)}
    for sentence in sentences:
        what, _, fix = sentence.partition(": ")
        if "MyISAM" in what:            # of any table, by the check of the server
            what, fix = "the table app_spam_quarantine is myisam, not innodb", "make a backup"
        assert seen[what.lower()]["level"] == "problem"
        assert seen[what.lower()]["fix"].lower().startswith(fix.lower())
    assert [what for what in seen if what.startswith("the newest rows are dated up to 5.0 hours in "
                                                     "the future: app_message_logs.its_created_at")]
    assert app("adopt", "--confirm").code == 1
    refusal = app("purge_sessions", "--dry-run")
    assert "nothing was done: app_sessions.its_expires_at holds numbers" in refusal.out
    # whose tables have no trap
    assert app.job("purge_webhook_deliveries")["status"] == "ok"


def test_the_statements_that_are_printed_first_make_it_fit(line, blank_url):       # R75
    """And an UPDATE that comes behind them changes no time by itself."""
    if blank_url.startswith("sqlite"):
        return                          # no column of it is an ENUM, or changes by itself
    moment = "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
    adopted.make(blank_url, ("aliases.expiry_notified_at",), columns={
        "aliases.created_at": moment + " COMMENT 'when, exactly'",
        "failed_emails.status": "enum('Pending','sent','it''s (odd)') NOT NULL DEFAULT 'sent'",
        "message_logs.direction": "ENUM('in', 'out') NOT NULL"})
    line.ini(adopted.ini(blank_url))
    db = opened(blank_url)
    db.execute("INSERT INTO {aliases} (user_id, address, created_at, expires_at) VALUES "
               "(1, 'a@alias.example', '2024-02-03 04:05:06', '2030-01-01 00:00:00')")
    printed = line.run("migrate")
    sql = [text for text in printed.splitlines() if text.startswith(("ALTER", "UPDATE"))]
    assert [text.split(" COMMENT")[0] for text in sql if "MODIFY" in text] == [
        text.split(" COMMENT")[0] for text in sql[:2]]
    places = [printed.index(text) for text in ("Change it first", *sql[:2], "still lack this")]
    assert places == sorted(places)
    update, = (text for text in sql if text.startswith("UPDATE"))
    assert "SET its_created_at = its_created_at, its_expiry_notified_at = '" in (
        update.replace("`", ""))
    assert any(text in sql[0] + sql[1] for text in ("DEFAULT current_timestamp() COMMENT",
                                                    "DEFAULT CURRENT_TIMESTAMP COMMENT"))
    # in an order that keeps the time, whether the column was changed before or not
    for text in sorted(sql, key=lambda text: "MODIFY" in text):
        db.execute(text.rstrip(";"))
    assert str(db.value("SELECT created_at FROM {aliases}")) == "2024-02-03 04:05:06"
    *warnings, said = line.run("migrate", "--check").splitlines()
    assert said == "the schema is up to date"
    # the words that it had stay beside ours
    assert [text.partition(", which")[0] for text in warnings] == [
        "warning: app_failed_emails.its_status is an ENUM with Pending, it's (odd)",
        "warning: app_message_logs.its_direction is an ENUM with in, out"]
    assert db.value("SELECT column_type FROM information_schema.columns WHERE table_schema = "
                    "DATABASE() AND table_name = 'app_failed_emails' AND column_name = "
                    "'its_status'") == (
        "enum('Pending','sent','it''s (odd)','pending','sending','failed')")
    found = {each["what"]: each for each in line.json("doctor", "--offline", code=1)}
    what = "app_message_logs.its_direction is an ENUM with in, out, which no job knows"
    assert found[what]["level"] == "warning"
    assert "forward, reply, send" in found[what]["fix"]
    db.close()


def test_a_view_is_asked_for_no_index_and_no_column_is_added_to_it(line, blank_url):   # R75
    adopted.make(blank_url, ("sessions",))
    db = opened(blank_url)
    db.execute("CREATE TABLE signins (no INTEGER PRIMARY KEY, who INTEGER, ends DATETIME, "
               "hash VARCHAR(64), made DATETIME, seen DATETIME)")
    names = {"id": "no", "user_id": "who", "expires_at": "ends", "token_hash": "hash",
             "created_at": "made", "last_seen_at": "seen"}

    def view(columns) -> None:
        db.execute("CREATE VIEW app_sessions AS SELECT "
                   + ", ".join(f"{names[column]} AS its_{column}" for column in columns)
                   + " FROM signins")
    view(list(names)[:-1])
    line.ini(adopted.ini(blank_url) + "[purge_sessions]\nenabled = no\n")
    printed = line.run("migrate")
    assert "-- the view app_sessions has no its_last_seen_at: add it to the view" in (
        printed.splitlines())
    assert "`app_sessions`" not in printed
    assert '"app_sessions"' not in printed
    fix, = (each["fix"] for each in line.json("doctor", "--offline", code=1)
            if each["what"] == "The column its_last_seen_at of sessions is missing")
    assert fix.endswith("Add it to that view.")
    db.execute("DROP VIEW app_sessions")
    view(names)
    checked = line("migrate", "--check").out
    # SQLite deletes no row through a view
    assert checked == ("the schema is up to date\n" if db.dialect.name != "sqlite" else
                       "no row can be deleted through the view app_sessions: name its table in "
                       "[tables]\n")
    db.close()


def test_times_that_are_numbers_in_a_column_of_any_type_are_found_by_their_rows(tmp_path):   # R75
    url = adopted.make(f"sqlite:///{tmp_path}/jobs.db")
    db = opened(url)
    assert lacking(db) == []
    db.execute("INSERT INTO app_sessions (its_user_id, its_token_hash, its_expires_at) "
               "VALUES (1, 'x', 1764000000)")
    assert lacking(db) == ["sessions.expires_at:number"]
    db.close()


def test_a_view_is_asked_what_can_be_written_through_it(blank_url):                # R75
    adopted.make(blank_url, ("domains",))
    db = opened(blank_url)
    names = [name for name in adopted.COLUMNS["domains"] if name != "status"]
    db.execute(f"CREATE TABLE places ({', '.join(f'{name} VARCHAR(190)' for name in names)})")
    columns = ", ".join(f"{name} AS its_{name}" for name in names)
    db.execute(f"CREATE VIEW app_domains AS SELECT {columns}, 'pending' AS its_status FROM places")
    found = lacking(db)
    assert "domains.status:view" in found
    # a server writes through to the plain columns, SQLite through triggers alone
    plain = "domains.next_check_at:view" in found
    assert plain == (db.dialect.name == "sqlite")
    db.close()


def test_an_audit_log_is_made_where_the_app_has_none(line, blank_url):             # R75
    adopted.make(blank_url, ("audit_logs",))
    line.ini(adopted.ini(blank_url))
    line.run("migrate", "--own-tables")
    db = opened(blank_url)
    assert "app_audit_logs" in db.tables()
    line.run("adopt", "--confirm", "expire_aliases")
    db.insert("users", email="jo@home.example")
    db.insert("aliases", user_id=1, address="a@alias.example", expires_at="2020-01-01 00:00:00")
    assert line.job("expire_aliases")["status"] == "ok"
    assert db.value("SELECT COUNT(*) FROM {audit_logs}") == 1
    db.close()


# What the jobs write, and a column does not take

TOO_SMALL = {
    "failed_emails.status": ("ENUM('pending', 'sent', 'failed') NOT NULL DEFAULT 'pending'",
                             "failed_emails.status:enum:sending"),
    "failed_emails.last_code": ("TINYINT UNSIGNED NULL", "failed_emails.last_code:small:254:999"),
    "failed_emails.next_attempt_at": ("DATE NULL", "failed_emails.next_attempt_at:day"),
    "webhook_deliveries.status": ("VARCHAR(4) NOT NULL DEFAULT ''",
                                  "webhook_deliveries.status:short:4:9"),
    "webhook_deliveries.response_excerpt": ("TINYTEXT NULL",
                                            "webhook_deliveries.response_excerpt:short:255:2048"),
    "domains.status": ("SET('pending', 'verified') NOT NULL DEFAULT 'pending'",
                       "domains.status:enum:failed"),
    "domains.dns_results": ("VARCHAR(1000) NULL", "domains.dns_results:short:1000:16000"),
    "domains.next_check_at": ("VARCHAR(10) NULL", "domains.next_check_at:short:10:19"),
    "audit_logs.actor": ("ENUM('user', 'admin') NOT NULL DEFAULT 'user'",
                         "audit_logs.actor:enum:jobs,''"),
    "audit_logs.severity": ("ENUM('info', 'error') NOT NULL DEFAULT 'info'",
                            "audit_logs.severity:enum:warning"),
    "audit_logs.event": ("VARCHAR(17) NOT NULL", "audit_logs.event:short:17:19"),
    "export_requests.sha256": ("CHAR(40) NULL", "export_requests.sha256:short:40:64"),
}
FITS = {
    "users.status": ("ENUM('active', 'deleted') NOT NULL DEFAULT 'active'", ""),
    "webhooks.disabled_reason": ("VARCHAR(255) NULL", ""),
    "export_requests.status": ("VARCHAR(7) NOT NULL DEFAULT 'queued'", ""),
    "webhook_deliveries.response_status": ("SMALLINT NULL", ""),
    "webhook_deliveries.claim_run": ("CHAR(16) NULL", ""),
}


def test_what_the_jobs_write_and_a_column_does_not_take_is_named(mariadb, line):       # R75
    url = mariadb.database()
    codes = replaced(url, {**TOO_SMALL, **FITS})
    db = opened(url)
    assert sorted(lacking(db)) == sorted(codes)
    line.ini(adopted.ini(url))
    made = line.run("migrate", "--own-tables").splitlines()
    assert ("app_failed_emails.its_last_code takes numbers up to 254, and up to 999 are written: "
            "make it a SMALLINT or larger") in made
    assert ("app_failed_emails.its_next_attempt_at is a DATE, and the jobs write times into it: "
            "make it a DATETIME") in made
    refused = {job["name"] for job in line.json("adopt")["jobs"] if job["refuses"]}
    assert {"retry_forwards", "retry_webhooks", "check_domains", "export_accounts"} <= refused
    assert "purge_failed_emails" not in refused             # which writes none of it
    enlarged = next(sql for sql in line.run("migrate").splitlines() if "`its_actor` enum" in sql)
    db.execute(enlarged.rstrip(";"))
    assert "audit_logs.actor:enum:jobs,''" not in lacking(db)
    db.insert("audit_logs", actor="jobs", event="alias.expired")
    db.close()
    mariadb.drop(url)


@pytest.mark.parametrize(("collation", "codes"), [
    # the server takes `pending`, stores `Pending`, and a job compares that with `pending`
    ("utf8mb4_general_ci", ["domains.status:capitals:Pending,Verified"]),
    ("utf8mb4_bin", ["domains.status:enum:pending,verified"])])
def test_an_enum_in_capitals_is_named(mariadb, collation, codes):                      # R75
    url = mariadb.database()
    capitals = "ENUM('Pending', 'Verified', 'failed')"
    replaced(url, {"domains.status": (f"{capitals} COLLATE {collation} NOT NULL", "")})
    db = opened(url)
    assert lacking(db) == codes
    db.close()
    db = connect(url, tables=adopted.TABLES, columns={**adopted.COLUMNS, "domains": {
        **adopted.COLUMNS["domains"],
        "status": "LOWER(its_status)\n    write its_status = :value"}})
    found = lacking(db)
    assert [code.split(":")[:3] for code in found] == (
        [] if collation.endswith("_ci") else [["domains.status", "not_taken", "pending"]])
    db.close()
    mariadb.drop(url)


CHECKED = {
    "failed_emails.status": ("VARCHAR(9) DEFAULT 'pending' CHECK ({0} IN ('pending', 'failed'))",
                             "sending,sent"),
    "webhook_deliveries.last_error": ("TEXT CHECK (LENGTH({0}) <= 100 OR {0} = 'a)(''b')",
                                      "a text of 512 characters"),
    # nothing is known of a check of more than one column
    "domains.status": ("VARCHAR(9) CHECK ({0} = 'pending' OR its_verified_at IS NOT NULL)", ""),
    "users.status": ("VARCHAR(9) CHECK ({0} IN ('active', 'deleted'))", ""),
    "export_requests.progress": ("INTEGER NOT NULL DEFAULT 0 CHECK ({0} BETWEEN 0 AND 100)", ""),
    "failed_emails.uncertain": ("INTEGER NOT NULL DEFAULT 0 CHECK ({0} IN (0, 1))", "2"),
    "domains.failures": ("INTEGER NOT NULL DEFAULT 1 CHECK ({0} >= 1)", "0"),
    # of these, only the real values could tell
    "webhook_deliveries.attempts": ("INTEGER NOT NULL DEFAULT 1 CHECK ({0} >= 1)", ""),
    "domains.dns_results": (("LONGTEXT NULL CHECK ({0} IS NULL OR json_extract({0}, '$.mx') IS NOT "
                             "NULL)"), ""),
    "audit_logs.details": ("LONGTEXT NULL CHECK (json_valid({0}) AND {0} NOT LIKE '%xx%')", ""),
}


def test_a_check_that_does_not_allow_what_the_jobs_write_is_named(line, blank_url):    # R75
    """Many frameworks make one of an ENUM where the engine has none."""
    quote = connect(blank_url, create=True).dialect.quote
    adopted.make(blank_url, columns={
        name: sql.format(quote(f"its_{name.partition('.')[2]}"))
        for name, (sql, _) in CHECKED.items()})
    db = opened(blank_url)
    assert {tuple(code.split(":")[:2]): parts(code)[3][0] for code in lacking(db)} == {
        (name, "check"): value for name, (_, value) in CHECKED.items() if value}
    db.execute("ALTER TABLE app_webhook_deliveries ADD COLUMN state VARCHAR(9) "
               "CHECK (state IN ('pending', 'done', 'failed'))")
    db.close()
    line.ini(adopted.ini(blank_url, {
        "webhook_deliveries.status": "CASE state WHEN 'done' THEN 'delivered' ELSE state END\n"
                                     "    write state = CASE :value WHEN 'delivered' THEN 'done' "
                                     "ELSE :value END"}))
    made = line.run("migrate", "--own-tables")
    assert ("app_failed_emails.its_status does not take sending, sent, which the jobs write: "
            "CHECK (") in made
    assert ("[columns] webhook_deliveries.status writes sending into state, which does not take "
            "it: CHECK (") in made
    refused = {job["name"] for job in line.json("adopt")["jobs"] if job["refuses"]}
    assert {"retry_forwards", "retry_webhooks"} <= refused
    assert "purge_failed_emails" not in refused


def test_a_check_is_asked_by_the_type_of_its_column_and_what_is_written(blank_url):    # R75
    folds = "NOCASE" if blank_url.startswith("sqlite") else "utf8mb4_general_ci"
    adopted.make(blank_url, lacking=("users.deleted_at",), columns={
        "failed_emails.status": (f"VARCHAR(20) COLLATE {folds} DEFAULT 'pending' CHECK (its_status "
                                 "IN ('Pending', 'Sending', 'Sent', 'Failed'))"),
        "failed_emails.last_code": "INT CHECK (its_last_code BETWEEN 200 AND 599)",
        "export_requests.sha256": "VARCHAR(64) CHECK (its_sha256 NOT LIKE '%x%')",
        "export_requests.file_name": "VARCHAR(99) NULL CHECK (its_file_name LIKE 'export-%.zip')",
        "export_requests.file_bytes": "BIGINT CHECK (its_file_bytes > 20)"})
    # SQLite takes that for text and keeps it so; our own notation has values and tables in it
    client.run(blank_url, "ALTER TABLE app_users ADD COLUMN its_deleted_at VARCHAR(30) NULL "
               'CHECK (its_deleted_at LIKE "____-__-__ __:__:__" OR its_deleted_at = "{}");\n')
    db = opened(blank_url)
    assert lacking(db) == []
    db.close()


# Anything else for numbers

@pytest.mark.parametrize("kind, value, held", [
    ("DATETIME", "'2026-01-01 00:00:00'", "DATETIME"), ("VARCHAR(20)", "'1'", "text"),
    ("DOUBLE", "1", "fractions"), ("DECIMAL(5,2)", "1", "fractions")])
def test_a_column_that_holds_no_whole_numbers_is_named(blank_url, kind, value, held):    # R75
    """Each row of it would be given up as one that cannot be read."""
    is_sqlite = blank_url.startswith("sqlite")
    # compared, or only written
    others = ("users.log_retention_days", "webhook_deliveries.response_status",
              "export_requests.progress") if held == "fractions" else ()
    adopted.make(blank_url, columns={"webhook_deliveries.attempts": kind,
                                     "users.email_limit": f"{kind} NULL",
                                     **dict.fromkeys(others, f"{kind} NULL")})
    db = opened(blank_url)
    db.execute(f"INSERT INTO app_users (its_email_limit) VALUES ({value})")
    db.execute("INSERT INTO app_webhook_deliveries (its_webhook_id, its_user_id, its_event_id, "
               f"its_attempts) VALUES (1, 1, 'e', {value})")
    # SQLite stores whole numbers as such, and of a DATETIME the rows tell
    wanted = {} if held == "fractions" and is_sqlite else {
        "webhook_deliveries.attempts": held, "users.email_limit": held}
    if held == "fractions":
        wanted.pop("users.email_limit", None)           # it is only compared
    elif is_sqlite:
        wanted = dict.fromkeys(wanted, "text")
    assert {code.split(":")[0]: (parts(code)[3] or [parts(code)[2]])[0]
            for code in lacking(db)} == wanted
    db.close()


def test_an_index_over_a_text_is_printed_as_the_server_takes_it(blank_url):         # R75
    adopted.make(blank_url, columns={"aliases.user_id": "VARCHAR(99)"})
    db = opened(blank_url)
    for name, column in (("aliases", "user_id"), ("failed_emails", "status")):
        for index, columns in db.indexes(name).items():
            if column in columns:
                db.execute(db.dialect.drop_index(index, f"app_{name}"))
        if db.dialect.name != "sqlite":
            db.execute(f"ALTER TABLE app_{name} MODIFY its_{column} TEXT")
    printed = [sql for sql in statements(db) if "INDEX" in sql]
    assert len(printed) == 5
    for sql in printed:
        db.execute(sql.rstrip(";"))
    assert statements(db) == []
    db.close()


# Numbers for words, and letters for booleans

WORDS = {"users.status": "active, suspended, deleted",
         "failed_emails.status": "pending, sending, sent, failed",
         "message_logs.direction": "forward, reply, send",
         "audit_logs.severity": "info, warning, critical"}
FLAGS = ("aliases.active", "webhooks.active", "failed_emails.uncertain")


def sentences(app, names, found: str) -> set[str]:
    """What `migrate --check` says of the columns so called; doctor says the same, `adopt` that
    jobs refuse."""
    checked = {text for text in app.run("migrate", "--check", code=1).splitlines()
               if found in text}
    assert len(checked) == len(names)
    seen = {f"{finding['what']}: {finding['fix']}".lower() for finding in app.json(
        "doctor", "--offline", code=1) if finding["level"] == "problem"}
    assert all(any(whole.startswith(text.lower()) for whole in seen) for text in checked)
    return checked


@pytest.mark.parametrize("numbers", ["TINYINT", "INTEGER", "DECIMAL(3)"])
def test_words_are_not_kept_as_numbers_in_a_plain_column(line, blank_url, numbers):
    """A server takes every text for the number 0: each waiting mail would be a failed one."""
    adopted.make(blank_url, columns=dict.fromkeys(WORDS, f"{numbers} NOT NULL DEFAULT 0"))
    line.ini(adopted.ini(blank_url))
    line.run("migrate", "--own-tables")
    db = opened(blank_url)
    db.execute("INSERT INTO app_failed_emails (its_user_id, its_alias_id, its_envelope_to, "
               "its_raw_path, its_created_at, its_finished_at) VALUES (1, 1, 'a@home.example', "
               "'a.eml', '2020-01-01 00:00:00', '2020-01-01 00:00:00')")
    db.execute("INSERT INTO app_users (its_email, its_deleted_at) VALUES ('a@home.example', "
               "'2020-01-01 00:00:00')")
    told = sentences(line, WORDS, "holds numbers where words belong")
    for name, words in WORDS.items():
        table, column = name.split(".")
        first = words.partition(",")[0]
        sentence = (f"app_{table}.its_{column} holds numbers where words belong ({words}): name "
                    "an expression in [columns] that returns them, such as CASE ... WHEN 1 THEN "
                    f"'{first}' ... END, with its line `write COLUMN = ...`")
        # of audit_logs, it goes on
        assert any(text.startswith(sentence) for text in told)
    refuses = {job["name"]: job["refuses"] for job in line.json("adopt")["jobs"] if job["refuses"]}
    assert "holds numbers where words belong" in refuses["delete_accounts"]
    assert line("adopt", "--confirm", "purge_failed_emails").code == 1
    refusal = line("purge_failed_emails", "--dry-run")
    assert "nothing was done: app_failed_emails.its_status holds numbers" in refusal.out
    assert db.value("SELECT COUNT(*) FROM app_failed_emails") == 1
    db.close()


@pytest.mark.parametrize("letters", ["CHAR(1)", "VARCHAR(3)", "ENUM('Y', 'N')"])
def test_a_boolean_is_not_kept_as_a_letter_in_a_plain_column(line, blank_url, letters):
    if blank_url.startswith("sqlite") and "ENUM" in letters:
        return                          # it has none
    adopted.make(blank_url, columns=dict.fromkeys(FLAGS, f"{letters} NULL"))
    line.ini(adopted.ini(blank_url))
    line.run("migrate", "--own-tables")
    told = sentences(line, FLAGS, "holds text where 1 or 0 belongs")
    assert ("app_aliases.its_active holds text where 1 or 0 belongs: name an expression in "
            "[columns] that returns them, such as CASE ... WHEN 'Y' THEN 1 ELSE 0 END, with its "
            "line `write COLUMN = ...`") in told
    refusal = line("expire_aliases", "--dry-run")
    assert "nothing was done: app_aliases.its_active holds text" in refusal.out


@pytest.mark.parametrize("kind", ["DEFAULT NULL", "BLOB", "STRING"])
def test_what_a_column_of_any_type_holds_is_found_by_its_rows(tmp_path, kind):
    url = adopted.make(f"sqlite:///{tmp_path}/jobs.db",
                       columns={"users.status": kind, "aliases.active": kind})
    db = opened(url)
    db.execute("INSERT INTO app_users (its_status) VALUES ('active')")
    db.execute("INSERT INTO app_aliases (its_user_id, its_address, its_active) VALUES (1, 'a', 1)")
    assert lacking(db) == []
    db.execute("INSERT INTO app_users (its_status) VALUES (0)")
    db.execute("INSERT INTO app_aliases (its_user_id, its_address, its_active) "
               "VALUES (1, 'b', 'Y')")
    assert sorted(lacking(db)) == [
        "aliases.active:no_flag:text",
        "users.status:no_words:numbers:active,suspended,deleted:active"]
    db.close()


def test_an_expression_returns_words_for_words_and_numbers_for_booleans(line, blank_url):
    """On a server in an empty table, too."""
    adopted.make(blank_url)
    if blank_url.startswith("sqlite"):
        db = opened(blank_url)
        db.execute("INSERT INTO {aliases} (user_id, address) VALUES (1, 'a@alias.example')")
        db.execute("INSERT INTO {message_logs} (user_id, direction, status) "
                   "VALUES (1, 'send', 'held')")
        db.close()
    line.ini(adopted.ini(blank_url, {
        "message_logs.status": "its_bytes_used + 0",
        "aliases.active": ("CASE its_active WHEN 1 THEN 'Y' ELSE 'N' END\n"
                           "    write its_active = :value"),
        "webhooks.active": "its_active = 1\n    write its_active = :value"}))
    line.run("migrate", "--own-tables")
    told = set(line.run("migrate", "--check", code=1).splitlines())
    assert told == {
        ("[columns] message_logs.status returns numbers where words belong (delivered, blocked, "
         "held, spam, bounced, failed): convert them: CASE ... WHEN 1 THEN 'delivered' ... END"),
        ("[columns] aliases.active returns text where 1 or 0 belongs: convert it: CASE ... WHEN "
         "'Y' THEN 1 ELSE 0 END")}


# Expressions

EXPRESSIONS = {
    "users.status": "CASE its_status WHEN 'off' THEN 'suspended' ELSE its_status END",
    "sessions.expires_at": "its_id + 1",
    "sessions.last_seen_at": "COALESCE(used, its_last_seen_at, seen)",
    "aliases.active": "NO_SUCH(its_active)\n    write its_active = :value",
    "webhooks.active": "1 - off\n    write off = 1 - :value",
    "audit_logs.severity": "its_severity || ''\n    write its_severity = its_event || :value",
}
WRONG = (
    ("[columns] users.status can only be read, and the jobs write it: add a line `write COLUMN = "
     "...` to it, with :value for what is written"),
    ("[columns] sessions.expires_at returns numbers where a time in UTC belongs: convert them: "
     "FROM_UNIXTIME(...) does on MySQL and MariaDB, datetime(..., 'unixepoch') on SQLite"),
    ("[columns] sessions.last_seen_at names used, seen, which the table app_sessions does not have:"
     " correct the expression"),
    ("[columns] webhooks.active writes off, which is computed by the database: let it write a "
     "column that can be written"),
    ("the `write` of [columns] audit_logs.severity names a column, and the jobs add rows: let it "
     "depend on :value alone; or let [tables] audit_logs name a table that is not there: `jobs.py "
     "migrate` makes it, for what the jobs write"),
)
ON_UPDATE = ("[columns] magic_links.used_at names changed, which changes with each update of its "
             "row (ON UPDATE): take that from the column, or name another")


def test_what_an_expression_names_is_looked_at_and_it_is_tried(line, blank_url):
    adopted.make(blank_url)
    server = not blank_url.startswith("sqlite")
    others = dict(EXPRESSIONS)
    db = opened(blank_url)
    if not server:                      # where a type says nothing, a row does
        db.execute("INSERT INTO {sessions} (user_id, token_hash, expires_at) "
                   "VALUES (1, 'x', '2030-01-01 00:00:00')")
    db.execute("ALTER TABLE app_webhooks ADD COLUMN off TINYINT GENERATED ALWAYS AS (1) VIRTUAL")
    if server:
        db.execute("ALTER TABLE app_magic_links ADD COLUMN changed TIMESTAMP NOT NULL DEFAULT "
                   "CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP")
        others["magic_links.used_at"] = "COALESCE(changed)\n    write its_used_at = :value"
    db.close()
    line.ini(adopted.ini(blank_url, others))
    sentences = {*WRONG, *([ON_UPDATE] if server else [])}
    made = set(line.run("migrate", "--own-tables").splitlines())
    assert sentences <= made
    tried, = (text for text in made if text.startswith("the database does not take [columns] "
                                                       "aliases.active ("))
    assert "NO_SUCH" in tried
    assert tried.endswith("): correct the expression")
    assert sentences | {tried} <= set(line.run("migrate", "--check", code=1).splitlines())
    seen = {f"{finding['what']}: {finding['fix']}".lower() for finding in line.json(
        "doctor", "--offline", code=1) if finding["level"] == "problem"}
    for sentence in sentences:
        assert any(found.startswith(sentence.lower()) for found in seen), sentence
    refused = {job["name"]: job["refuses"] for job in line.json("adopt")["jobs"] if job["refuses"]}
    assert "[columns] users.status can only be read" in refused["delete_accounts"]
    assert "does not take [columns] aliases.active" in refused["expire_aliases"]
    assert "users.status" not in refused.get("purge_message_logs", "")
    refusal = line("purge_sessions", "--dry-run").out
    assert "nothing was done: [columns] sessions." in refusal
    assert "; [columns] sessions.expires_at returns numbers" in refusal
    # whose tables have no such column
    assert "export_accounts" in refused
    assert "purge_notifications" not in refused


def test_no_expression_is_tried_on_a_whole_table(blank_url, monkeypatch):
    """Of millions of rows, all may be NULL, and it is tried once an hour."""
    monkeypatch.setattr(expression_misfits, "SEARCHED", 5)
    adopted.make(blank_url)
    db = connect(blank_url, tables=adopted.TABLES, columns={
        **adopted.COLUMNS, "sessions": {**adopted.COLUMNS["sessions"],
                                        "last_seen_at": "NULLIF(its_id, 0)"}})
    for number in range(6):
        db.execute("INSERT INTO app_sessions (its_id, its_user_id, its_token_hash, its_expires_at) "
                   "VALUES (:id, 1, :id, '2030-01-01 00:00:00')", id=number or 9)
    assert "sessions.last_seen_at:numbers" in lacking(db)
    db.close()
    db = connect(blank_url, tables=adopted.TABLES, columns={
        **adopted.COLUMNS, "sessions": {**adopted.COLUMNS["sessions"],
                                        "last_seen_at": "CASE its_id WHEN 9 THEN its_id END"}})
    assert ("sessions.last_seen_at:numbers" in lacking(db)) == (db.dialect.name != "sqlite")
    db.close()


def test_what_an_expression_writes_need_have_no_default_in_new_rows(blank_url):        # R75
    adopted.make(blank_url, columns={"audit_logs.severity": "VARCHAR(9) NOT NULL"})
    db = connect(blank_url, tables=adopted.TABLES, columns={
        **adopted.COLUMNS, "audit_logs": {
            **adopted.COLUMNS["audit_logs"],
            "severity": "LOWER(its_severity)\n    write its_severity = :value"}})
    assert lacking(db) == []
    db.close()


def test_expressions_that_fit_leave_nothing_to_do(line, blank_url):
    columns, types = adopted.otherwise(connect(blank_url, create=True).dialect)
    adopted.make(blank_url, columns=types)
    others = {f"{name}.{column}": text for name, renamed in columns.items()
              for column, text in renamed.items()}
    line.ini(adopted.ini(blank_url, others))
    line.run("migrate")
    assert line.run("migrate", "--check") == "the schema is up to date\n"
    assert "No errors" in line.run("config", "check")
    assert "CASE its_status WHEN 1 THEN 'active'" in line.run("config", "show")


STATES = ("CASE its_state WHEN 0 THEN 'pending' WHEN 1 THEN 'sent' WHEN 2 THEN 'failed' "
          "ELSE 'sending' END")
READS = {"sqlite": "datetime(NULLIF({0}, 0), 'unixepoch')",
         "mysql": "FROM_UNIXTIME(NULLIF({0}, 0))"}
SECONDS = {"sqlite": "strftime('%s', :value)", "mysql": "UNIX_TIMESTAMP(:value)"}
NOT_READ_BACK = {
    ("[columns] failed_emails.status does not read what the jobs write: sent is stored as 0 (in "
     "its_state), which reads as pending: let what is read and its `write` be each other's "
     "opposite"): "retry_forwards",
    ("[columns] aliases.active does not read what the jobs write: 0 is stored as Y (in enabled), "
     "which reads as 1: let what is read and its `write` be each other's opposite"):
    "expire_aliases",
    ("[columns] domains.next_check_at writes NULL into next_try for NULL, and that is NOT NULL: "
     "let it be NULL, or write something else, such as COALESCE(..., 0), and read that as NULL by "
     "NULLIF(next_try, 0)"): "check_domains",
}
# MariaDB returns NULL for FROM_UNIXTIME(0)
NOT_READ_BACK_IN_SQLITE = {
    ("[columns] webhook_deliveries.next_attempt_at does not read what the jobs write: NULL is "
     "stored as 0 (in next_try), which reads as 1970-01-01 00:00:00: let what is read and its "
     "`write` be each other's opposite"): "retry_webhooks",
}


def with_states(url: str, wrong: bool = True) -> dict:
    """An app's tables whose columns hold the same in other forms; what [columns] says of them."""
    engine = url.partition(":")[0]
    adopted.make(url)
    db = opened(url)
    for table, column in (("failed_emails", "its_state INTEGER NOT NULL DEFAULT 0"),
                          ("aliases", "enabled CHAR(1) NOT NULL DEFAULT 'Y'"),
                          ("domains", "next_try BIGINT NOT NULL DEFAULT 0"),
                          ("webhook_deliveries", "next_try BIGINT NOT NULL DEFAULT 0")):
        db.execute(f"ALTER TABLE app_{table} ADD COLUMN {column}")
    db.close()
    time, seconds = READS[engine].format("next_try"), SECONDS[engine]
    sent, on, off = ("delivered", "N", "Y") if wrong else ("sent", "Y", "N")
    return {
        "failed_emails.status": f"{STATES}\n    write its_state = CASE :value WHEN '{sent}' THEN 1 "
                                "WHEN 'failed' THEN 2 WHEN 'sending' THEN 3 ELSE 0 END",
        "aliases.active": f"(enabled = 'Y')\n    write enabled = CASE :value WHEN 1 THEN '{on}' "
                          f"ELSE '{off}' END",
        "domains.next_check_at": f"{time}\n    write next_try = "
                                 f"{seconds if wrong else f'COALESCE({seconds}, 0)'}",
        "webhook_deliveries.next_attempt_at":
            f"{time.replace('NULLIF(next_try, 0)', 'next_try') if wrong else time}\n"
            f"    write next_try = COALESCE({seconds}, 0)",
        "webhooks.disabled_at": "its_disabled_at\n    write its_disabled_at = "
                                f"{'NO_SUCH(:value)' if wrong else ':value'}"}


def test_what_is_written_has_to_be_read_as_the_same(line, blank_url):
    others = with_states(blank_url)
    line.ini(adopted.ini(blank_url, others))
    made = set(line.run("migrate", "--own-tables").splitlines())
    expected = {**NOT_READ_BACK, **(NOT_READ_BACK_IN_SQLITE if blank_url.startswith("sqlite")
                                    else {})}
    assert set(expected) <= made
    tried, = (text for text in made if text.startswith("the database does not take the `write` of "
                                                       "[columns] webhooks.disabled_at ("))
    assert "NO_SUCH" in tried
    checked = line.run("migrate", "--check", code=1).splitlines()
    assert {*expected, tried} <= set(checked)
    refused = {job["name"]: job["refuses"] for job in line.json("adopt")["jobs"] if job["refuses"]}
    for sentence, job in expected.items():
        assert sentence in refused[job]
    assert "purge_failed_emails" not in refused             # which writes none of it
    assert "sent is stored as 0" in line("retry_forwards", "--dry-run").out


def test_what_is_read_as_it_was_written_leaves_nothing_to_do(line, blank_url):
    line.ini(adopted.ini(blank_url, with_states(blank_url, wrong=False)))
    line.run("migrate", "--own-tables")
    assert line.run("migrate", "--check") == "the schema is up to date\n"


NOT_TAKEN = {
    "ENUM('new', 'sent', 'failed') NOT NULL DEFAULT 'new'": "enum('new', 'sent', 'failed')",
    "VARCHAR(6) NOT NULL DEFAULT 'new'": "varchar(6)"}


@pytest.mark.parametrize("kind", NOT_TAKEN)
def test_what_a_write_makes_has_to_fit_into_its_column(mariadb, line, kind):            # R75
    url = adopted.make(mariadb.database())
    db = opened(url)
    db.execute(f"ALTER TABLE app_failed_emails ADD COLUMN state {kind}, "
               "ADD COLUMN answer VARCHAR(100)")
    db.close()
    line.ini(adopted.ini(url, {
        "failed_emails.status": "CASE state WHEN 'new' THEN 'pending' ELSE state END\n    write "
                                "state = CASE :value WHEN 'pending' THEN 'new' ELSE :value END",
        "failed_emails.last_error": "answer\n    write answer = :value"}))
    made = line.run("migrate", "--own-tables").splitlines()
    sentences = {
        ("[columns] failed_emails.status writes sending into state, which does not take it: "
         f"{NOT_TAKEN[kind]}: let it take that, or write something else"),
        ("[columns] failed_emails.last_error writes a text of 512 characters into answer, which "
         "does not take it: varchar(100): let it take that, or write something else")}
    assert sentences <= set(made)
    refused = {job["name"]: job["refuses"] for job in line.json("adopt")["jobs"] if job["refuses"]}
    assert all(sentence in refused["retry_forwards"] for sentence in sentences)
    assert "purge_failed_emails" not in refused
    db = opened(url)
    db.execute("ALTER TABLE app_failed_emails MODIFY state VARCHAR(7), MODIFY answer VARCHAR(512)")
    db.close()
    assert line.run("migrate", "--check") == "the schema is up to date\n"
    mariadb.drop(url)


@pytest.mark.parametrize("expression", [
    # what is read depends on more, or what is written on the row
    "CASE WHEN its_id < 0 THEN 'failed' ELSE its_status END\n    write its_status = :value",
    ("CASE WHEN its_last_error = 'x' THEN its_status ELSE its_status END\n"
     "    write its_status = COALESCE(:value, its_status)"),
    "LOWER(its_status)\n    write its_status = UPPER(:value)",
])
def test_what_only_the_row_tells_is_not_judged(line, blank_url, expression):
    adopted.make(blank_url)
    line.ini(adopted.ini(blank_url, {"failed_emails.status": expression}))
    line.run("migrate", "--own-tables")
    assert line.run("migrate", "--check") == "the schema is up to date\n"
