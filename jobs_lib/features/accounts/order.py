"""What is deleted with an account, in this order: a test compares it with the schema's references.

Queues come first, so that nothing more is sent; a table comes before those that its rows refer to;
and `domains` and `destinations` come last, since an app's foreign keys often lead to them.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

Step = namedtuple("Step", "table column of by sets", defaults=("users", "id", ""))
Step.__doc__ = """Rows that belong to an account.

column  says whose a row is: the account's id, or that of a row of the table `of`
by      the column by whose ranges they are taken, behind `user_id` in an index; "": all at once
sets    "": they are deleted; else what an UPDATE sets in them, and they stay
"""

# What may identify somebody. `details` is the app's own JSON: nobody knows what in it would. Of
# attempts stays what the relay's limits count.
AUDIT = "user_id = NULL, actor = '', ip = '', details = NULL"
ATTEMPT = "user_id = NULL, domain = NULL, recipient = NULL, answer = NULL"

ORDER = (
    Step("failed_emails", "user_id"),
    Step("failed_emails", "alias_id", "aliases"),
    Step("failed_emails", "destination_id", "destinations"),
    Step("webhook_deliveries", "user_id"),
    Step("webhook_deliveries", "webhook_id", "webhooks"),
    Step("notifications", "user_id"),
    Step("export_requests", "user_id"),
    Step("sessions", "user_id"),
    Step("magic_links", "user_id"),
    Step("header_snapshots", "user_id"),
    Step("message_logs", "user_id", by="created_at"),
    Step("message_stats", "user_id", by="alias_id"),
    Step("usage_daily", "user_id", by="day"),
    Step("usage_weekly", "user_id", by="week_start"),
    Step("usage_events", "user_id"),
    Step("notification_optouts", "user_id", by="kind"),
    Step("overflow_hold", "user_id"),
    Step("spam_quarantine", "user_id"),
    Step("audit_logs", "user_id", sets=AUDIT),
    Step("attempts", "user_id", sets=ATTEMPT),
    Step("webhooks", "user_id"),
    Step("alias_destinations", "alias_id", "aliases", by=""),
    Step("alias_destinations", "destination_id", "destinations", by=""),
    Step("destination_verifications", "destination_id", "destinations"),
    Step("aliases", "user_id"),
    Step("aliases", "domain_id", "domains", sets="domain_id = NULL"),
    Step("domains", "user_id"),
    Step("destinations", "user_id"),
)
# What a run at work may have in hand.
QUEUES = ("failed_emails", "webhook_deliveries", "notifications", "export_requests")
# What has to be known of a row as it is deleted: its file, or the address that is retired.
READ = {"failed_emails": "raw_path", "overflow_hold": "raw_path", "spam_quarantine": "raw_path",
        "export_requests": "id, file_name, claim_run", "aliases": "address"}
