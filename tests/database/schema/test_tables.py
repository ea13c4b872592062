"""The tables are those of the public interface, on both engines, and keep the rules that all
engines need."""
from __future__ import annotations

import re

import pytest

from jobs_lib.database.dialects import mysql, sqlite
from jobs_lib.database.schema import NAMES
from jobs_lib.database.schema.tables import NO_DEFAULT, table, tables
from jobs_lib.errors import DatabaseError
from tests.support.databases import NOW, migrated

QUEUES = ("failed_emails", "webhook_deliveries", "notifications")

# What the web app, the mail hook and the operator's scripts rely on; more may be added, none may
# go.
PUBLIC = """
    users: email name status bandwidth_limit_bytes? email_limit? billing_anchor log_retention_days?
        created_at deleted_at?
    aliases: user_id domain_id? address active expires_at? expiry_notified_at? created_at
    destinations: user_id email verified_at? reminded_at? removal_notified_at? created_at
    alias_destinations: alias_id destination_id
    destination_verifications: destination_id token_hash expires_at created_at
    domains: user_id name ownership_token status dns_results checked_at next_check_at
        recheck_requested_at failing_since failures warned_at verified_at created_at
    message_logs: user_id alias_id? direction status bytes_used created_at
    header_snapshots: message_log_id user_id ciphertext created_at
    failed_emails: user_id alias_id destination_id? envelope_from envelope_to raw_path size_bytes
        status
        attempts next_attempt_at? last_attempt_at last_code last_error created_at finished_at
    overflow_hold: user_id alias_id sender subject size_bytes raw_path held_at warned_at?
        warning_id?
        released_at?
    spam_quarantine: user_id alias_id sender subject score size_bytes raw_path quarantined_at
        released_at?
    audit_logs: user_id? actor event severity ip details created_at
    magic_links: user_id token_hash expires_at used_at? created_at
    sessions: user_id token_hash created_at last_seen_at expires_at
    webhooks: user_id url secret previous_secret? previous_secret_expires_at? active disabled_at
        disabled_reason failing_since created_at
    webhook_deliveries: webhook_id user_id event_id event_type payload status attempts
        next_attempt_at
        last_attempt_at response_status response_excerpt last_error created_at finished_at
    export_requests: user_id status progress file_name file_bytes sha256 token_hash
        attempts
        requested_at started_at finished_at expires_at error
    notifications: user_id? kind persona to_email subject body_text body_html? dedupe_key? priority
        status attempts next_attempt_at last_error created_at sent_at
    notification_optouts: user_id kind
    message_stats: user_id alias_id day direction status email_count bytes_used
    usage_daily: user_id day email_count bytes_used
    usage_weekly: user_id week_start email_count bytes_used
    usage_events: user_id cycle_start metric threshold used limit_value elapsed_percent created_at
    audit_archives: location row_count first_id last_id cutoff sha256 status created_at
    account_deletions: user_ref requested_at revoked_at completed_at counts
    retired_addresses: address_hash created_at
    job_state: job paused_at due_after last_options
    job_runs: run_id job slot? trigger_type installation lock_name heartbeat_at progress host pid
        status
        started_at finished_at duration_ms counts stop_reason error
    """

KEYS = {"alias_destinations": "alias_id destination_id", "notification_optouts": "user_id kind",
        "message_stats": "user_id alias_id day direction status", "usage_daily": "user_id day",
        "usage_weekly": "user_id week_start", "rollup_days": "day", "rollup_state": "id",
        "retired_addresses": "address_hash", "job_state": "job",
        "meta": "name", "mail_counters": "span bucket",
        "relay_state": "id", "mail_shares": "owner bucket", "queue_turns": "queue priority",
        "endpoint_state": "webhook_id", "alerts": "alert_key"}

UNIQUE = {"aliases": [("address",)], "notifications": [("dedupe_key",)],
          "job_runs": [("job", "slot"), ("run_id",)],
          "usage_events": [("user_id", "cycle_start", "metric", "threshold")]}

# The first value is what a row has whose writer says nothing of it.
DEFAULTS = {("users", "status"): "active", ("aliases", "active"): 1,
            ("domains", "status"): "pending", ("failed_emails", "status"): "pending",
            ("failed_emails", "attempts"): 0,
            ("failed_emails", "next_attempt_at"): None, ("failed_emails", "uncertain"): 0,
            ("webhooks", "active"): 1, ("webhook_deliveries", "status"): "pending",
            ("export_requests", "status"): "queued", ("notifications", "status"): "pending",
            ("notifications", "priority"): 1, ("audit_logs", "severity"): "info",
            ("audit_archives", "status"): "writing"}


def public():
    lines = re.sub(r"\n {8}", " ", PUBLIC).strip().splitlines()
    return {name.strip(): columns.split() for name, _,
            columns in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("name", list(public()))
def test_a_public_table_has_its_columns(name):
    columns = {column.name: column for column in table(name).columns}
    for wanted in public()[name]:
        assert wanted.rstrip("?") in columns
        if wanted.endswith("?"):
            assert columns[wanted.rstrip("?")].null


@pytest.mark.parametrize("name", list(NAMES))
def test_a_table_has_an_id_or_its_own_key(name):
    described = table(name)
    if name in KEYS:
        assert described.key == tuple(KEYS[name].split())
        assert "id" not in [column.type for column in described.columns]
    else:
        assert described.key == ("id",)
        assert (described.columns[0].name, described.columns[0].type) == ("id", "id")


def test_what_must_be_unique_is():
    assert {entry.name: [index.columns for index in entry.indexes if index.unique]
            for entry in tables() if any(index.unique for index in entry.indexes)} == UNIQUE


def test_the_three_queues_can_be_claimed():
    # R21
    for name in QUEUES:
        columns = {column.name for column in table(name).columns}
        assert {"claim_token", "claim_run", "lease_until", "uncertain"} <= columns


def test_a_row_that_says_little_has_the_defaults_of_the_interface():
    for (name, wanted), value in DEFAULTS.items():
        column = next(column for column in table(name).columns if column.name == wanted)
        assert (None if column.null else column.default) == value


# Rules that hold for each

def test_each_index_says_what_it_is_for_and_has_columns_that_exist():
    for entry in tables():
        columns = {column.name for column in entry.columns}
        for index in entry.indexes:
            assert index.purpose, index.name
            assert set(index.columns) <= columns, index.name


def test_each_type_is_a_word_of_both_dialects():
    used = {column.type for entry in tables() for column in entry.columns}
    assert used == set(sqlite.types) == set(mysql.types)


def test_names_are_short_enough_with_a_prefix_and_unique():
    names = [index.name for entry in tables() for index in entry.indexes]
    assert len(names) == len(set(names))         # SQLite has one name space for all indexes
    assert max(map(len, [*names, *NAMES])) <= 64 - 16


# Reserved in MySQL 8 (https://dev.mysql.com/doc/refman/8.0/en/keywords.html) or in MariaDB.
RESERVED = set("""
    accessible add all alter analyze and as asc asensitive before between bigint binary blob both by
    call cascade case change char character check collate column condition constraint continue
    convert
    create cross cube cume_dist current_date current_role current_time current_timestamp
    current_user
    cursor database databases day_hour day_microsecond day_minute day_second dec decimal declare
    default
    delayed delete dense_rank desc describe deterministic distinct distinctrow div double drop dual
    each
    else elseif empty enclosed escaped except exists exit explain false fetch first_value float for
    force foreign from fulltext function generated get grant group grouping groups having
    high_priority
    hour_microsecond hour_minute hour_second if ignore in index infile inner inout insensitive
    insert
    int integer intersect interval into is iterate join json_table key keys kill lag
    last_value lateral lead leading leave left like limit linear lines load localtime localtimestamp
    lock long longblob longtext loop low_priority match maxvalue mediumblob mediumint mediumtext
    middleint mod modifies natural not nth_value ntile null numeric of offset on optimize
    optimizer_costs option optionally or order out outer outfile over parallel partition
    percent_rank
    precision primary procedure purge qualify range rank read reads real recursive references regexp
    release rename repeat replace require resignal restrict return returning revoke right rlike row
    row_number rows schema schemas second_microsecond select sensitive separator set show signal
    smallint spatial specific sql sqlexception sqlstate sqlwarning ssl starting stored straight_join
    system table tablesample terminated then tinyblob tinyint tinytext to trailing trigger true undo
    union unique unlock unsigned update usage use using utc_date utc_time utc_timestamp values
    varbinary
    varchar varying virtual when where while window with write xor year_month zerofill
    """.split())


def test_no_name_needs_quotes_in_any_of_the_engines():
    names = {*NAMES, *(column.name for entry in tables() for column in entry.columns)}
    assert names & RESERVED == set()
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)


def test_long_text_has_no_default_since_mysql_has_none_for_it():
    for entry in tables():
        for column in entry.columns:
            if column.type in ("text", "json", "blob"):
                assert column.null, (entry.name, column.name)
                assert column.default is NO_DEFAULT


def test_keys_of_machines_are_ascii_and_addresses_hold_any_text():
    for entry in tables():
        for column in entry.columns:
            if column.name == "status" or column.name.endswith(("_hash", "_token", "_path", "_key",
                                                                "_run")):
                assert "ascii_bin" in mysql.types[column.type], (entry.name, column.name)
            if column.name.endswith(("email", "address", "envelope_from", "envelope_to")):
                assert mysql.types[column.type] == "VARCHAR(254)", (entry.name, column.name)


def test_indexes_fit_into_innodbs_limit():
    width = {"id": 8, "ref": 8, "int": 4, "big": 8, "flag": 1, "real": 8, "date": 3, "time": 5,
             "now": 5}
    for entry in tables():
        types = {column.name: column.type for column in entry.columns}
        for columns in [entry.key, *(index.columns for index in entry.indexes)]:
            size = 0
            for name in columns:
                words = mysql.types[types[name]]
                each = 1 if "ascii" in words else 4
                size += width.get(types[name]) or int(re.search(r"\((\d+)\)", words)[1]) * each + 2
            assert size <= 3072, (entry.name, columns)


# In the databases

@pytest.fixture
def db(engine_url):
    database = migrated(engine_url)
    yield database
    database.close()


def test_both_engines_have_what_the_description_says(db):
    for entry in tables():
        assert db.columns(entry.name) == {column.name for column in entry.columns}
        indexes = db.indexes(entry.name)
        for index in entry.indexes:
            assert indexes[index.name] == list(index.columns)


def test_a_writer_may_leave_out_whatever_has_a_default(db):
    values = {"ref": 1, "int": 1, "big": 1, "date": "2026-01-01", "time": NOW, "flag": 1,
              "real": 1.5}
    for entry in tables():
        least = {column.name: values.get(column.type, "x") for column in entry.columns
                 if not column.null and column.default is NO_DEFAULT and column.type not in ("id",
                                                                                             "now")}
        if entry.name == "users":
            least["name"] = "x"          # each row says something
        db.insert(entry.name, **least)


def test_a_writer_may_not_leave_out_what_has_none(db):
    for name, values in (("aliases", {"user_id": 1}),
                         ("sessions", {"user_id": 1, "token_hash": "x"}),
                         ("failed_emails", {"user_id": 1, "alias_id": 1, "raw_path": "x"})):
        with pytest.raises(DatabaseError):
            db.insert(name, **values)


def test_every_table_is_innodb_and_compares_bytes(mariadb):
    url = mariadb.database()
    db = migrated(url)
    engines = db.query("SELECT engine AS e FROM information_schema.tables"
                       " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'")
    collations = db.query("SELECT collation_name AS c FROM information_schema.columns"
                          " WHERE table_schema = DATABASE() AND collation_name IS NOT NULL")
    assert {row["e"] for row in engines} == {"InnoDB"}
    assert {row["c"] for row in collations} == {"utf8mb4_bin", "ascii_bin"}
    db.close()
    mariadb.drop(url)


def test_the_longest_address_fits(db):
    longest = "ü" * 64 + "@" + "d" * 189
    assert len(longest) == 254
    db.insert("aliases", user_id=1, address=longest)
    assert db.value("SELECT address FROM {aliases}") == longest
