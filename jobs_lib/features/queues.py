"""All queues as data. What is due in one is asked of `due(ctx)`, by whoever needs to know it."""
from __future__ import annotations

from datetime import timedelta
from functools import partial
from types import SimpleNamespace

from jobs_lib.engines import due as engine
from jobs_lib.engines.due import Queue, is_idle
from jobs_lib.errors import JobsError

from .notifications import REQUIRED

AT_ONCE = timedelta(0)  # before a first attempt
DAY = timedelta(days=1)
UNREAD = {"body_text": None, "body_html": None}

# SQL of rows that nobody waits for
OPTED_OUT = (f"kind NOT IN {REQUIRED} AND (SELECT 1 FROM {{notification_optouts}} AS optouts WHERE "
             "optouts.user_id = {notifications}.user_id AND optouts.kind = {notifications}.kind) "
             "IS NOT NULL")
RESTORED = ("kind = 'account_deletion_scheduled' AND (SELECT status FROM {users} "
            "WHERE {users}.id = {notifications}.user_id) <> 'deleted'")
# its link opens nothing any more
NO_EXPORT = ("dedupe_key LIKE 'export-ready:%' AND (SELECT token_hash FROM {export_requests} "
             "WHERE {export_requests}.user_id = {notifications}.user_id "
             "AND {export_requests}.id = SUBSTR(dedupe_key, 14)) IS NULL")
# released, or deleted
NO_MESSAGE = ("dedupe_key LIKE 'overflow-warning:%' AND (SELECT MIN(warning_id) "
              "FROM {overflow_hold} WHERE warning_id = {notifications}.id "
              "AND released_at IS NULL) IS NULL")
# '' is what PHP stores for false in SQLite
DISABLED = ("COALESCE((SELECT active FROM {webhooks} WHERE {webhooks}.id = webhook_id), 0) "
            "IN (0, '')")
CLOSED = "(SELECT status FROM {users} WHERE {users}.id = {export_requests}.user_id) = 'deleted'"


def _missing(table: str, what: str, of: str, column: str = "") -> tuple:
    """(why nobody waits for a row, SQL): what it names is not there."""
    column = column or f"{what}_id"
    # no EXISTS, for which MariaDB may read all of the other table
    found = f"(SELECT 1 FROM {{{of}}} WHERE {{{of}}}.id = {{{table}}}.{column})"
    return f"the {what} is missing", f"({column} IS NOT NULL AND {found} IS NULL)"


def _nobodys(table: str) -> tuple:
    return _missing(table, "account", "users", "user_id")


# 0 is what some apps have for none
NO_DESTINATION = _missing("failed_emails", "destination", "destinations")
FORWARDS = Queue(
    "forwards", "forward", "failed_emails", "retry_forwards", "sent",
    delays=lambda options: options.delays, dated=True,
    columns=("alias_id", "destination_id", "envelope_from", "envelope_to", "raw_path"),
    when_over=lambda now: {"notified_at": now},
    missing=(_nobodys("failed_emails"), _missing("failed_emails", "alias", "aliases")),
    unwanted=((NO_DESTINATION[0], f"destination_id <> '0' AND {NO_DESTINATION[1]}"),))
NOTICES = Queue(
    "notifications", "notification", "notifications", "send_notifications", "sent",
    delays=lambda options: (AT_ONCE, *options.delays), priority=True,
    dated=True, columns=("kind", "persona", "to_email", "priority"),
    when_done=lambda now: {"sent_at": now, **UNREAD}, when_over=lambda now: UNREAD,
    missing=(_nobodys("notifications"),), after_deletion="kind = 'account_deletion_scheduled'",
    unwanted=(("its owner has opted out of this kind", OPTED_OUT),
              ("the account was restored", RESTORED), ("its export has ended", NO_EXPORT),
              ("no message waits any more", NO_MESSAGE)))
WEBHOOKS = Queue(
    "webhooks", "webhook", "webhook_deliveries", "retry_webhooks", "delivered",
    # the app's own first attempt counts, and may not have been made
    delays=lambda options: (AT_ONCE, *options.delays),
    by_attempts=True, columns=("webhook_id", "event_id", "event_type"), code="response_status",
    missing=(_nobodys("webhook_deliveries"),
             _missing("webhook_deliveries", "endpoint", "webhooks", "webhook_id")),
    unwanted=(("the endpoint is disabled", DISABLED),))
EXPORTS = Queue(
    "exports", "export", "export_requests", "export_accounts", "ready",
    # what could not be made is tried again in the next run, three times in all
    delays=lambda options: (AT_ONCE, AT_ONCE, AT_ONCE),
    code="", error="error", waits="queued", works="running", others=("expired",),
    added="requested_at", tried="started_at", missing=(_nobodys("export_requests"),),
    unwanted=(("the account is deleted", CLOSED),),
    after_deletion="1 = 1")  # it is refused
DOMAINS = Queue(
    "domains", "domain", "domains", "check_domains", "verified",
    delays=lambda options: (DAY,), by_attempts=True,  # between two looks at one, at most
    columns=("name", "ownership_token", "status", "recheck_requested_at", "failing_since",
             "warned_at", "failures"),
    waits=("pending", "verified", "failed"), works="", time="next_check_at", tried="checked_at",
    unwanted=(_nobodys("domains"),))
DELETIONS = Queue("deletions", "deletion", "users", "delete_accounts", "",
                  delays=lambda options: (), waits="deleted", works="", added="deleted_at",
                  time="deleted_at")
BY_JOB = {queue.job: queue for queue in (FORWARDS, NOTICES, WEBHOOKS, EXPORTS, DOMAINS, DELETIONS)}


def work_to_do(ctx, queue: Queue, kind=None):
    """The Work of a run that sends (queue.py), which counts what becomes of the rows; None where
    nothing is due. `kind()`: the class that its feature has, which an idle run does not load."""
    ctx.counts.update({queue.done: 0, "retried": 0, "failed": 0})
    if is_idle(ctx.db, queue.table, queue.waits, queue.works):
        return None
    from jobs_lib.engines.queue import work_if_due
    return work_if_due(ctx, queue, kind and kind())


def send_mail(ctx, queue: Queue, make_source):
    """Try every due row of a queue of mail once; a dry run shows which. What is wrong with the
    relay, if it cannot be used. `make_source(ctx)`: as mail_sending.MailSender has it."""
    others_wait = other_mail(ctx, queue)
    if ctx.dry_run:
        from jobs_lib.engines.preview import show_due_mail
        show_due_mail(ctx, queue, make_source(ctx), others_wait)
    elif work := work_to_do(ctx, queue):
        from jobs_lib.engines.mail_sending import MailSender
        return MailSender(work, make_source(ctx), others_wait).send_due()
    return None


def other_mail(ctx, queue: Queue):
    """A function: whether mail is due in the other queue of mail than this one, with which it
    shares the relay's limits, and its job works it off."""
    return partial(_is_due, ctx, NOTICES if queue is FORWARDS else FORWARDS)


def _is_due(ctx, other: Queue) -> bool:
    try:
        options = ctx.options_of(other.job)
    except JobsError:  # that job does not run until its file or section is corrected
        return False
    if not options.enabled or ctx.db.value("SELECT paused_at FROM {job_state} WHERE job = :job",
                                           job=other.job):
        return False
    return engine.due(SimpleNamespace(db=ctx.db, now=ctx.now, options=options), other).any()
