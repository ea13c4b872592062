"""What an export holds: of each table about the account all columns but those of EXCLUDED."""
from __future__ import annotations

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


def _kinds(text: str) -> tuple:
    """From blocks of `name table: about`, and `by ...` or `through column of name`."""
    found = []
    for block in text.strip().split("\n\n"):
        head, way = (line.strip() for line in block.strip().splitlines())
        words, _, about = head.partition(": ")
        name, its_table = words.split()
        rule = way.split()
        columns = tuple(column.name for column in table(its_table).columns
                        if column.name not in EXCLUDED)
        found.append(Kind(name, its_table, about, columns,
                          tuple(rule[1:]) if rule[0] == "by" else (rule[1],),
                          (rule[1], rule[3]) if rule[0] == "through" else None))
    return tuple(found)


KINDS = _kinds("""
    profile users: your account
    by id

    aliases aliases: your addresses
    by id

    destinations destinations: the mailboxes that your mail is forwarded to
    by id

    alias_destinations alias_destinations: which alias forwards to which destination
    through alias_id of aliases

    destination_verifications destination_verifications: proofs of destinations that are under way
    through destination_id of destinations

    domains domains: your own domains, their records and when they were looked at
    by id

    message_logs message_logs: one line for each message that passed or was stopped
    by created_at id

    message_stats message_stats: sums of lines that are deleted already, by alias and day
    by alias_id day direction status

    header_snapshots header_snapshots: of which messages the encrypted headers are kept
    by id

    usage_daily usage_daily: messages and bytes of each day
    by day

    usage_weekly usage_weekly: messages and bytes of each week
    by week_start

    usage_events usage_events: limits that you came near to
    by cycle_start metric threshold

    held_messages overflow_hold: messages held back since the account was over its limit
    by id

    quarantine spam_quarantine: messages judged to be spam
    by id

    failed_forwards failed_emails: messages that could not be forwarded at once
    by id

    webhooks webhooks: your endpoints
    by id

    webhook_deliveries webhook_deliveries: what was sent to your endpoints
    by id

    notifications notifications: notices that we wrote to you
    by id

    notification_optouts notification_optouts: kinds of notices that you do not want
    by kind

    audit_events audit_logs: what was done in your account, by whom and from where
    by id

    sessions sessions: browsers that are signed in
    by id

    sign_in_links magic_links: links to sign in that you asked for
    by id

    exports export_requests: exports that you asked for
    by requested_at id
""")
