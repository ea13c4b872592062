"""Every column of a table that holds something about a user is exported, but for these."""
from __future__ import annotations

from jobs_lib.database.schema.references import REFERENCES
from jobs_lib.database.schema.tables import table
from jobs_lib.features.exports.columns import KINDS

CLAIM = {"claim_token", "claim_run", "lease_until"}
EXCLUDED = {
    "users": {"deleted_at"}, "alias_destinations": set(), "destination_verifications": {
        "token_hash"},
    **{name: {"user_id"} for name in (
        "aliases", "destinations", "domains", "message_logs", "message_stats", "usage_daily",
        "usage_weekly", "usage_events", "notification_optouts", "audit_logs")},
    "header_snapshots": {"user_id", "ciphertext"}, "overflow_hold": {"user_id", "raw_path"},
    "spam_quarantine": {"user_id", "raw_path"}, "magic_links": {"user_id", "token_hash"},
    "sessions": {"user_id", "token_hash"}, "webhooks": {"user_id", "secret", "previous_secret"},
    "failed_emails": {"user_id", "raw_path", "uncertain", *CLAIM},
    "webhook_deliveries": {"user_id", "uncertain", *CLAIM},
    "notifications": {"user_id", "uncertain", "body_text", "body_html", "dedupe_key", *CLAIM},
    "export_requests": {"user_id", "progress", "file_name", "sha256", "token_hash", *CLAIM},
}
OURS = {"attempts", "endpoint_state"}           # the records of the jobs themselves


def about_users() -> set[str]:
    """`users`, what refers to it, and what refers to that."""
    found = {"users"}
    while more := {one.table for one in REFERENCES if one.target in found} - found:
        found |= more
    return found


def test_all_columns_are_exported_but_these():         # R52
    assert {kind.table: {column.name for column in table(kind.table).columns} - set(kind.columns)
            for kind in KINDS} == EXCLUDED
    assert about_users() == {*EXCLUDED, *OURS}


def test_no_secret_and_no_hash_is_listed():         # R52
    words = ("secret", "hash", "nonce", "password", "cipher", "sha256", "claim", "raw_path",
             "file_name")
    found = {(kind.table, column) for kind in KINDS for column in kind.columns
             if any(word in column for word in words)}
    assert found == {("webhooks", "previous_secret_expires_at")}


def test_pages_are_read_in_the_order_of_an_index_that_begins_with_the_owner():         # R15
    for kind in KINDS:
        entry = table(kind.table)
        if kind.table == "users" or kind.through:
            continue
        # which each index of such a table has at its end
        ends = () if entry.key != ("id",) else ("id",)
        indexes = [columns + ends for columns in (entry.key,
                                                  *(index.columns for index in entry.indexes))
                   if columns[0] == "user_id"]
        wanted = ("user_id", *kind.order)
        assert any(columns[:len(wanted)] == wanted for columns in indexes), kind.name
