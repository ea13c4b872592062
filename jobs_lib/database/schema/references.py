"""Which table refers to which: no foreign keys are declared (the app may have none), so this is the
only list.

Export, deletion and the tests read it. `goes` says what becomes of a row when what it refers to is
deleted: "with" (deleted too), "stays" (kept and made anonymous), "unset" (kept, and the column
becomes NULL), "later" (its own table's retention removes it; until then it names something that no
longer exists).
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

Reference = namedtuple("Reference", "table column target goes")

REFERENCES = tuple(Reference(*line.split()) for line in """
    aliases                   user_id         users           with
    aliases                   domain_id       domains         unset
    alias_destinations        alias_id        aliases         with
    alias_destinations        destination_id  destinations    with
    destinations              user_id         users           with
    destination_verifications destination_id  destinations    with
    domains                   user_id         users           with
    message_logs              user_id         users           with
    message_logs              alias_id        aliases         later
    header_snapshots          message_log_id  message_logs    with
    header_snapshots          user_id         users           with
    failed_emails             user_id         users           with
    failed_emails             alias_id        aliases         with
    failed_emails             destination_id  destinations    with
    failed_emails             notice_id       notifications   later
    overflow_hold             user_id         users           with
    overflow_hold             alias_id        aliases         later
    overflow_hold             warning_id      notifications   later
    spam_quarantine           user_id         users           with
    spam_quarantine           alias_id        aliases         later
    audit_logs                user_id         users           stays
    magic_links               user_id         users           with
    sessions                  user_id         users           with
    webhooks                  user_id         users           with
    webhook_deliveries        webhook_id      webhooks        with
    webhook_deliveries        user_id         users           with
    attempts                  user_id         users           stays
    export_requests           user_id         users           with
    notifications             user_id         users           with
    notification_optouts      user_id         users           with
    message_stats             user_id         users           with
    message_stats             alias_id        aliases         later
    usage_daily               user_id         users           with
    usage_weekly              user_id         users           with
    usage_events              user_id         users           with
""".strip().splitlines())

# Columns that hold keys of these tables, some of which may have been deleted long ago.
PAST_KEYS = {
    ("attempts", "item_id"): ("failed_emails", "notifications", "webhook_deliveries", "domains",
                              "export_requests"),
    ("audit_archives", "first_id"): ("audit_logs",),
    ("audit_archives", "last_id"): ("audit_logs",),
}
# Those that are '' or 0 where they name no row, since they are part of a key.
WITH_NONE = {("message_stats", "alias_id")}


def to(target: str) -> list:
    """The references to the table `target`."""
    return [reference for reference in REFERENCES if reference.target == target]


def targets(table: str, column: str) -> tuple:
    """The tables whose keys a column holds."""
    return PAST_KEYS.get((table, column)) or tuple(
        reference.target for reference in REFERENCES
        if (reference.table, reference.column) == (table, column))
