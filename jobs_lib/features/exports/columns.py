"""What an export holds: of each table about the account all columns but those of EXCLUDED."""
from __future__ import annotations

import re

from jobs_lib.database.schema.tables import table
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

# A literal test holds, for each table, which columns these are.
EXCLUDED = frozenset((
    # anyone who has it, or can guess what is behind it, gets in
    "token_hash", "secret", "previous_secret",
    # only the app has the key; a copy outside would outlive its retention
    "ciphertext",
    # emptied once a notice is sent; one that waits may hold a link that signs in
    "body_text", "body_html",
    # where we store a file
    "raw_path", "file_name",
    # about the work, not about the person
    "progress", "sha256", "dedupe_key", "claim_run", "uncertain",
    # the account itself, which is in the profile; one that is deleted has no export
    "user_id", "deleted_at",
))


def _kind(line: str) -> Kind:
    """From `table [as name] by columns: about`, or with `through column of name`."""
    found = re.fullmatch(r"(\w+)(?: as (\w+))? (by|through) ([\w ]+): (.*)", line.strip())
    assert found, line
    its_table, name, way, rule, about = found.groups()
    columns = tuple(column.name for column in table(its_table).columns
                    if column.name not in EXCLUDED)
    words = tuple(rule.replace(" of ", " ").split())
    is_through = way == "through"
    return Kind(name or its_table, its_table, about, columns, () if is_through else words,
                words if is_through else None)


KINDS = tuple(map(_kind, """
    users as profile by id: your account
    aliases by id: your addresses
    destinations by id: the mailboxes that your mail is forwarded to
    alias_destinations through alias_id of aliases: which alias forwards to which destination
    destination_verifications through destination_id of destinations: proofs of destinations
    domains by id: your own domains, their records and when they were looked at
    message_logs by created_at id: one line for each message that passed or was stopped
    message_stats by alias_id day direction status: sums of deleted lines, by alias and day
    header_snapshots by id: of which messages the encrypted headers are kept
    usage_daily by day: messages and bytes of each day
    usage_weekly by week_start: messages and bytes of each week
    usage_events by cycle_start metric threshold: limits that you came near to
    overflow_hold as held_messages by id: messages held back since the account was over its limit
    spam_quarantine as quarantine by id: messages judged to be spam
    failed_emails as failed_forwards by id: messages that could not be forwarded at once
    webhooks by id: your endpoints
    webhook_deliveries by id: what was sent to your endpoints
    notifications by id: notices that we wrote to you
    notification_optouts by kind: kinds of notices that you do not want
    audit_logs as audit_events by id: what was done in your account, by whom and from where
    sessions by id: browsers that are signed in
    magic_links as sign_in_links by id: links to sign in that you asked for
    export_requests as exports by requested_at id: exports that you asked for
""".strip().splitlines()))
