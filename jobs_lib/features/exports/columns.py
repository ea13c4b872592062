"""What an export holds: for each table the columns that are exported, and why others are not.

A column that is in neither list fails a test, so that no new column is exported, or forgotten,
unnoticed.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

Kind = namedtuple("Kind", "name table about columns order through")
Kind.__doc__ = """One kind of data: a JSON and a CSV file.

name     of the files
about    what it is, in words for their reader
columns  that are exported, in this order
order    columns of an index that begins with the owner: pages are read by it
through  (column, parent's name): rows that name no owner, found by the parent that they belong to;
         or None
"""


def _kinds(text: str) -> tuple:
    """From blocks of `name table: about`, the columns, and `by ...` or `through column of name`."""
    found = []
    for block in text.strip().split("\n\n"):
        head, *columns, way = (line.strip() for line in block.strip().splitlines())
        words, _, about = head.partition(": ")
        name, table = words.split()
        rule = way.split()
        found.append(Kind(name, table, about, tuple(" ".join(columns).split()),
                          tuple(rule[1:]) if rule[0] == "by" else (rule[1],),
                          (rule[1], rule[3]) if rule[0] == "through" else None))
    return tuple(found)


KINDS = _kinds("""
    profile users: your account
    id email name status bandwidth_limit_bytes email_limit billing_anchor log_retention_days
    created_at
    by id

    aliases aliases: your addresses
    id domain_id address active expires_at expiry_notified_at created_at
    by id

    destinations destinations: the mailboxes that your mail is forwarded to
    id email verified_at reminded_at removal_notified_at created_at
    by id

    alias_destinations alias_destinations: which alias forwards to which destination
    alias_id destination_id
    through alias_id of aliases

    destination_verifications destination_verifications: proofs of destinations that are under way
    id destination_id expires_at created_at
    through destination_id of destinations

    domains domains: your own domains, their records and when they were looked at
    id name ownership_token status dns_results checked_at next_check_at recheck_requested_at
    failing_since failures
    warned_at verified_at created_at
    by id

    message_logs message_logs: one line for each message that passed or was stopped
    id alias_id direction status bytes_used created_at
    by created_at id

    message_stats message_stats: sums of lines that are deleted already, by alias and day
    alias_id day direction status email_count bytes_used
    by alias_id day direction status

    header_snapshots header_snapshots: of which messages the encrypted headers are kept
    id message_log_id created_at
    by id

    usage_daily usage_daily: messages and bytes of each day
    day email_count bytes_used
    by day

    usage_weekly usage_weekly: messages and bytes of each week
    week_start email_count bytes_used
    by week_start

    usage_events usage_events: limits that you came near to
    id cycle_start metric threshold used limit_value elapsed_percent created_at
    by cycle_start metric threshold

    held_messages overflow_hold: messages held back since the account was over its limit
    id alias_id sender subject size_bytes held_at warned_at warning_id released_at
    by id

    quarantine spam_quarantine: messages judged to be spam
    id alias_id sender subject score size_bytes quarantined_at released_at
    by id

    failed_forwards failed_emails: messages that could not be forwarded at once
    id alias_id destination_id envelope_from envelope_to size_bytes status attempts next_attempt_at
    last_attempt_at
    last_code last_error created_at finished_at told_at notice_id
    by id

    webhooks webhooks: your endpoints
    id url active previous_secret_expires_at disabled_at disabled_reason failing_since created_at
    by id

    webhook_deliveries webhook_deliveries: what was sent to your endpoints
    id webhook_id event_id event_type payload status attempts next_attempt_at last_attempt_at
    response_status
    response_excerpt last_error created_at finished_at
    by id

    notifications notifications: notices that we wrote to you
    id kind persona to_email subject priority status attempts next_attempt_at first_attempt_at
    last_attempt_at last_code
    last_error created_at sent_at finished_at
    by id

    notification_optouts notification_optouts: kinds of notices that you do not want
    kind
    by kind

    audit_events audit_logs: what was done in your account, by whom and from where
    id actor event severity ip details created_at
    by id

    sessions sessions: browsers that are signed in
    id created_at last_seen_at expires_at
    by id

    sign_in_links magic_links: links to sign in that you asked for
    id expires_at used_at created_at
    by id

    exports export_requests: exports that you asked for
    id status attempts file_bytes requested_at started_at finished_at expires_at error
    by requested_at id
""")

OWNER = "it is the account's own number, which is in the profile"
CLAIM = "bookkeeping of our own programs"
PATH = "where we store a file"
TOKEN = "anyone who has it, or can guess what is behind it, gets in"
NOT_EXPORTED = {
    "users": {"deleted_at": "an account that is deleted has no export"},
    "destination_verifications": {"token_hash": TOKEN},
    "header_snapshots": {"user_id": OWNER, "ciphertext": "it can be read only in the app, which "
                         "has the key; a copy outside would outlive its retention"},
    "failed_emails": {"user_id": OWNER, "raw_path": PATH, "claim_token": CLAIM, "claim_run": CLAIM,
                      "lease_until": CLAIM, "uncertain": CLAIM},
    "overflow_hold": {"user_id": OWNER, "raw_path": PATH},
    "spam_quarantine": {"user_id": OWNER, "raw_path": PATH},
    "magic_links": {"user_id": OWNER, "token_hash": TOKEN},
    "sessions": {"user_id": OWNER, "token_hash": TOKEN},
    "webhooks": {"user_id": OWNER, "secret": TOKEN, "previous_secret": TOKEN},
    "webhook_deliveries": {"user_id": OWNER, "claim_token": CLAIM, "claim_run": CLAIM,
                           "lease_until": CLAIM, "uncertain": CLAIM},
    "export_requests": {"user_id": OWNER, "progress": "it is about the work, not about the person",
                        "file_name": PATH, "sha256": "it is about the work, not about the person",
                        "token_hash": TOKEN, "claim_token": CLAIM, "claim_run": CLAIM,
                        "lease_until": CLAIM},
    "endpoint_state": dict.fromkeys(("webhook_id", "user_id", "tried_at", "slow",
                                     "paused_until"), CLAIM),
    "attempts": dict.fromkeys(("id", "kind", "item_id", "user_id", "run_id", "began_at",
                               "duration_ms", "outcome", "code", "answer"), CLAIM),
    "notifications": {"user_id": OWNER, "body_text": "it is emptied once it is sent; one that "
                      "waits may hold a link that signs in", "body_html": "as body_text",
                      "dedupe_key": CLAIM, "claim_token": CLAIM, "claim_run": CLAIM,
                      "lease_until": CLAIM, "uncertain": CLAIM},
    **{table: {"user_id": OWNER} for table in (
        "aliases", "destinations", "domains", "message_logs", "message_stats", "usage_daily",
        "usage_weekly",
        "usage_events", "notification_optouts", "audit_logs")},
}
