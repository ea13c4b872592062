"""One file a job: its rule in words, when it runs, its options; the work is one call into a feature
or an engine. Here is what the files of purges share."""
from __future__ import annotations

from jobs_lib.catalogue import NAMES_FILES, Job
from jobs_lib.config.option_types import Option, duration, optional
from jobs_lib.engines.purge import Purge, Rule, run

__all__ = ["Purge", "Rule", "keep", "purge", "run"]
# by this, a file that an upload left out is missed
ALL = tuple("""
    archive_audit_logs check_domains check_jobs check_usage_thresholds
    delete_accounts expire_aliases expire_destination_verifications
    expire_overflow_hold export_accounts purge_failed_emails
    purge_header_snapshots purge_job_history purge_magic_links
    purge_message_logs purge_notifications purge_sessions
    purge_spam_quarantine purge_webhook_deliveries retry_forwards
    retry_webhooks rollup_usage send_notifications
    """.split())


def keep(default: str, meaning: str, kind=duration) -> Option:
    """An option that says how long rows are kept: a duration, or off."""
    return Option(optional(kind), default, meaning)


def purge(*, table: str, rules: tuple, files: str | None = None, work=run, sections: tuple = (),
          tables: str = "", **declared) -> Job:
    """A job that is a Purge; the rest is as in Job.

    `tables` is what it works on besides its own; `work`: function of (Context, Purge) -> counts, of
    a job that does more.
    """
    does = Purge(table, rules, files)
    if files:
        sections, tables = (*sections, "spool"), NAMES_FILES + tables
    return Job(run=lambda ctx: work(ctx, does), sections=sections, tables=f"{table}- {tables}",
               **{"priority": "low", **declared})
