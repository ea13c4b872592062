"""What an export holds: of each table about the account all columns but those of EXCLUDED."""
from __future__ import annotations

from jobs_lib.database.schema.tables import table
from jobs_lib.records import namedtuple

Kind = namedtuple("Kind", "name table about columns order whose")
Kind.__doc__ = """One kind of data: a JSON and a CSV file.

name     of the files
about    what it is, in words for their reader
columns  that are exported, in this order
order    columns of an index that finds the account's rows: pages are read by it
whose    SQL: of the account :user
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
    """From `table[/name] by columns: about`; `of parent` before it: of rows that name no owner, but
    one of the parent's in the first column."""
    words, about = line.split(": ")
    names, *way = words.split()
    its_table, _, name = names.partition("/")
    columns = tuple(column.name for column in table(its_table).columns
                    if column.name not in EXCLUDED)
    order = tuple(way[way.index("by") + 1:])
    whose = "id = :user" if its_table == "users" else "user_id = :user"
    if way[0] == "of":
        whose = f"{order[0]} IN (SELECT id FROM {{{way[1]}}} WHERE {whose})"
    return Kind(name or its_table, its_table, about, columns, order, whose)


KINDS = tuple(map(_kind, """
    users/profile by id: your account
    aliases by id: your addresses
    destinations by id: the mailboxes that your mail is forwarded to
    alias_destinations of aliases by alias_id destination_id: what forwards to which of them
    destination_verifications of destinations by destination_id id: proofs of destinations
    domains by id: your own domains, their records and when they were looked at
    message_logs by created_at id: one line for each message that passed or was stopped
    message_stats by alias_id day direction status: sums of deleted lines, by alias and day
    header_snapshots by id: of which messages the encrypted headers are kept
    usage_daily by day: messages and bytes of each day
    usage_weekly by week_start: messages and bytes of each week
    usage_events by cycle_start metric threshold: limits that you came near to
    overflow_hold/held_messages by id: messages held back since the account was over its limit
    spam_quarantine/quarantine by id: messages judged to be spam
    failed_emails/failed_forwards by id: messages that could not be forwarded at once
    webhooks by id: your endpoints
    webhook_deliveries by id: what was sent to your endpoints
    notifications by id: notices that we wrote to you
    notification_optouts by kind: kinds of notices that you do not want
    audit_logs/audit_events by id: what was done in your account, by whom and from where
    sessions by id: browsers that are signed in
    magic_links/sign_in_links by id: links to sign in that you asked for
    export_requests/exports by requested_at id: exports that you asked for
""".strip().splitlines()))
