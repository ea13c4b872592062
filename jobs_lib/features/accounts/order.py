"""What is deleted with an account, in this order: a test compares it with the schema's references.

Queues come first, so that nothing more is sent; a table comes before those that its rows refer to;
and `domains` and `destinations` come last, since an app's foreign keys often lead to them.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

Step = namedtuple("Step", "table column of by sets only",
                  defaults=("user_id", "users", "id", "", ""))
Step.__doc__ = """Rows that belong to an account.

column  says whose a row is: the account's id, or that of a row of the table `of`
by      the column by whose ranges they are taken, behind `column` in an index
sets    "": they are deleted; else what an UPDATE sets in them, and they stay
only    SQL: which of them; "" for all
"""

# What may identify somebody. `details` is the app's own JSON: nobody knows what in it would. Of
# attempts stays what the relay's limits count.
AUDIT = "user_id = NULL, actor = '', ip = '', details = NULL"
ATTEMPT = "user_id = NULL, domain = NULL, recipient = NULL, answer = NULL"

ORDER = (
    Step("failed_emails"),
    Step("failed_emails", "alias_id", "aliases"),
    Step("failed_emails", "destination_id", "destinations"),
    Step("webhook_deliveries"),
    Step("webhook_deliveries", "webhook_id", "webhooks"),
    Step("notifications"),
    Step("export_requests"),
    Step("sessions"),
    Step("magic_links"),
    Step("header_snapshots"),
    Step("message_logs", by="created_at"),
    Step("message_stats", by="alias_id"),
    Step("usage_daily", by="day"),
    Step("usage_weekly", by="week_start"),
    Step("usage_events"),
    Step("notification_optouts", by="kind"),
    Step("overflow_hold"),
    Step("spam_quarantine"),
    Step("audit_logs", sets=AUDIT),
    Step("attempts", sets=ATTEMPT),
    Step("webhooks"),
    Step("alias_destinations", "alias_id", "aliases", by="alias_id"),
    Step("alias_destinations", "destination_id", "destinations", by="destination_id"),
    Step("destination_verifications", "destination_id", "destinations"),
    Step("aliases"),
    Step("aliases", "domain_id", "domains", sets="domain_id = NULL"),
    Step("domains"),
    Step("destinations"),
)
# what a run at work may have in hand
QUEUES = ("failed_emails", "webhook_deliveries", "notifications", "export_requests")
# what has to be known of a row as it is deleted: its file, or the address that is retired
READ = {"failed_emails": "id, raw_path", "overflow_hold": "id, raw_path",
        "spam_quarantine": "id, raw_path", "export_requests": "id, file_name",
        "aliases": "id, address"}
