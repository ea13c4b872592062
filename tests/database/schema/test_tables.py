"""The tables are those of the public interface, on both engines, and keep the rules that all
engines need."""
from __future__ import annotations

import re

import pytest

from tests.support.databases import NOW, columns, migrated
from tests.support.product import NAMES, NO_DEFAULT, DatabaseError, Duplicate, mysql, tables

# What the web app, the mail hook and the operator's scripts rely on; more may be added, none may
# go. `?`: may be NULL.
PUBLIC = """
    users: email name status bandwidth_limit_bytes? email_limit? billing_anchor
        log_retention_days? created_at deleted_at?
    aliases: user_id domain_id? address active expires_at? expiry_notified_at? created_at
    destinations: user_id email verified_at? reminded_at? removal_notified_at? created_at
    alias_destinations: alias_id destination_id
    destination_verifications: destination_id token_hash expires_at created_at
    domains: user_id name ownership_token status dns_results checked_at next_check_at
        recheck_requested_at failing_since failures warned_at verified_at created_at
    message_logs: user_id alias_id? direction status bytes_used created_at
    header_snapshots: message_log_id user_id ciphertext created_at
    failed_emails: user_id alias_id destination_id? envelope_from envelope_to raw_path
        size_bytes status attempts next_attempt_at? last_attempt_at last_code last_error
        created_at finished_at
    overflow_hold: user_id alias_id sender subject size_bytes raw_path held_at warned_at?
        warning_id? released_at?
    spam_quarantine: user_id alias_id sender subject score size_bytes raw_path quarantined_at
        released_at?
    audit_logs: user_id? actor event severity ip details created_at
    magic_links: user_id token_hash expires_at used_at? created_at
    sessions: user_id token_hash created_at last_seen_at expires_at
    webhooks: user_id url secret previous_secret? previous_secret_expires_at? active disabled_at
        disabled_reason failing_since created_at
    webhook_deliveries: webhook_id user_id event_id event_type payload status attempts
        next_attempt_at last_attempt_at response_status response_excerpt last_error created_at
        finished_at
    export_requests: user_id status progress file_name file_bytes sha256 token_hash attempts
        requested_at started_at finished_at expires_at error
    notifications: user_id? kind persona to_email subject body_text body_html? dedupe_key?
        priority status attempts next_attempt_at last_error created_at sent_at
    notification_optouts: user_id kind
    message_stats: user_id alias_id day direction status email_count bytes_used
    usage_daily: user_id day email_count bytes_used
    usage_weekly: user_id week_start email_count bytes_used
    usage_events: user_id cycle_start metric threshold used limit_value elapsed_percent
        created_at
    audit_archives: location row_count first_id last_id cutoff sha256 status created_at
    account_deletions: user_ref requested_at revoked_at completed_at counts
    retired_addresses: address_hash created_at
    job_state: job paused_at due_after last_options
    job_runs: run_id job slot? trigger_type installation lock_name heartbeat_at progress host
        pid status started_at finished_at duration_ms counts stop_reason error
    """
WITHOUT_ID = ("alias_destinations", "notification_optouts", "message_stats", "usage_daily",
              "usage_weekly", "retired_addresses", "job_state")

# Rows of which there cannot be two.
UNIQUE = {
    "aliases": {"user_id": 1, "address": "a@b.example"},
    "alias_destinations": {"alias_id": 1, "destination_id": 1},
    "notifications": {"kind": "k", "to_email": "a@b.example", "dedupe_key": "once"},
    "notification_optouts": {"user_id": 1, "kind": "k"},
    "message_stats": {"user_id": 1, "alias_id": 1, "day": "2026-11-24", "direction": "send",
                      "status": "spam"},
    "usage_daily": {"user_id": 1, "day": "2026-11-24"},
    "usage_weekly": {"user_id": 1, "week_start": "2026-11-23"},
    "usage_events": {"user_id": 1, "cycle_start": "2026-11-01", "metric": "emails",
                     "threshold": 80},
    "retired_addresses": {"address_hash": "x"}, "job_state": {"job": "j"},
    "job_runs": {"job": "j", "slot": NOW, "status": "ok", "started_at": NOW}}

# What a row has whose writer says nothing of it, behind what it has to say.
DEFAULTS = {
    "users": ({"email": "a@b.example"}, {"status": "active"}),
    "aliases": ({"user_id": 1, "address": "a@b.example"}, {"active": 1}),
    "domains": ({"user_id": 1, "name": "b.example"}, {"status": "pending"}),
    "failed_emails": ({"user_id": 1, "alias_id": 1, "envelope_to": "a@b.example", "raw_path": "x"},
                      {"status": "pending", "attempts": 0, "next_attempt_at": None}),
    "webhooks": ({"user_id": 1, "url": "https://b.example", "secret": "s"}, {"active": 1}),
    "webhook_deliveries": ({"user_id": 1, "webhook_id": 1, "event_id": "e", "event_type": "t"},
                           {"status": "pending", "attempts": 0}),
    "export_requests": ({"user_id": 1}, {"status": "queued", "progress": 0}),
    "notifications": ({"kind": "k", "to_email": "a@b.example"},
                      {"status": "pending", "priority": 1, "attempts": 0}),
    "audit_logs": ({"event": "e"}, {"severity": "info", "user_id": None}),
    "audit_archives": ({"location": "x"}, {"status": "writing"})}


def public() -> dict[str, list[str]]:
    """{table: its columns}."""
    lines = re.sub(r"\n {8}", " ", PUBLIC).strip().splitlines()
    return {name.strip(): columns.split() for name, _, columns in
            (line.partition(":") for line in lines)}


def nullable(db, name: str) -> set[str]:
    """The columns that may be NULL."""
    if db.dialect.name == "sqlite":
        return {row["name"] for row in db.query(f"PRAGMA table_info({name})") if not row["notnull"]}
    return {row["name"] for row in db.query(
        "SELECT column_name AS name FROM information_schema.columns WHERE is_nullable = 'YES' "
        "AND table_schema = DATABASE() AND table_name = :name", name=name)}


def test_the_public_tables_have_their_columns(db):
    for name, public_ones in public().items():
        there = columns(db, name)
        assert {column.rstrip("?") for column in public_ones} <= there, name
        assert {column[:-1] for column in public_ones if column.endswith("?")} <= nullable(db, name)
        assert ("id" in there) == (name not in WITHOUT_ID)


def test_what_must_be_unique_is(db):
    for name, row in UNIQUE.items():
        runs = [{"run_id": number} for number in "12"] if name == "job_runs" else [{}, {}]
        db.insert(name, **row, **runs[0])
        with pytest.raises(Duplicate):
            db.insert(name, **row, **runs[1])


def test_a_row_that_says_little_has_the_defaults_of_the_interface_and_no_less(db):
    for name, (given, expected) in DEFAULTS.items():
        db.insert(name, **given)
        row = db.row(f"SELECT * FROM {{{name}}}")
        assert {column: row[column] for column in expected} == expected, name
    for name, values in (("aliases", {"user_id": 1}),
                         ("sessions", {"user_id": 1, "token_hash": "x"}),
                         ("failed_emails", {"user_id": 1, "alias_id": 1, "raw_path": "x"})):
        with pytest.raises(DatabaseError):
            db.insert(name, **values)


# Reserved in MySQL 8 (https://dev.mysql.com/doc/refman/8.0/en/keywords.html), which no test runs
# on; what is reserved in MariaDB, too, fails there.
RESERVED = set("""
    cube cume_dist dense_rank empty except first_value function generated get grouping groups
    intersect json_table lag last_value lateral lead nth_value ntile of optimizer_costs percent_rank
    qualify rank row_number stored system tablesample virtual
    """.split())


def test_no_name_needs_quotes_long_text_has_no_default_and_keys_are_ascii():
    """Else MySQL 8 refuses it."""
    all_columns = [(entry.name, column) for entry in tables() for column in entry.columns]
    names = {*NAMES, *(column.name for _, column in all_columns)}
    assert names & RESERVED == set()
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)
    for table, column in all_columns:
        name, type_ = column.name, mysql.types[column.type]
        if column.type in ("text", "json", "blob"):
            assert (column.null, column.default) == (True, NO_DEFAULT), (table, name)
        if name == "status" or name.endswith(("_hash", "_token", "_path", "_key", "_run")):
            assert "ascii_bin" in type_, (table, name)
        if name.endswith(("email", "address", "envelope_from", "envelope_to")):
            assert type_ == "VARCHAR(254)", (table, name)


def test_every_table_is_innodb_and_compares_bytes(mariadb_url, opened):
    db = opened(mariadb_url, migrated)
    ours = "WHERE table_schema = DATABASE()"
    engines = db.query(f"SELECT engine AS e FROM information_schema.tables {ours} "
                       "AND table_type = 'BASE TABLE'")
    collations = db.query(f"SELECT collation_name AS c FROM information_schema.columns {ours} "
                          "AND collation_name IS NOT NULL")
    assert {row["e"] for row in engines} == {"InnoDB"}
    assert {row["c"] for row in collations} == {"utf8mb4_bin", "ascii_bin"}
