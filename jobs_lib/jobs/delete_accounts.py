"""Close deleted accounts at once, and delete all they have after 7 days.

An app deletes an account by `users.status = 'deleted'` and `deleted_at`, and refuses it from then
on. The next run first of all shuts every account that is newly deleted: sessions and sign-in links
go, aliases and webhooks are switched off, queued mail, deliveries and exports are cancelled. Its
owner gets one last notice, which names the day. On that day all that belongs to the account goes,
table by table, with its files. Audit rows stay, without anything that says whose they were, and go
by their own age. Of its aliases a keyed hash stays, so that no address is ever given to anybody
else. Rows that another program writes for it within three days after that are deleted, too.

Where more than 50 accounts and a fifth of all would go at once, they are shut and nothing is
deleted until `--yes` says that it is no mistake. After a backup was put back, `--set reapply=yes`
deletes again what it brought back.

Killed at any point: a row goes in the commit that counts it, a file before that commit, and the
account's own row comes last, so the next run finds the account and goes on.
"""
from __future__ import annotations

from jobs_lib.config import option_types as kind
from jobs_lib.config.option_types import Option, argument
from jobs_lib.errors import JobsError
from jobs_lib.job import declare


def _tables() -> str:
    from jobs_lib.features.accounts.cascade import works_on
    return works_on() + """
        users: id email name status created_at deleted_at
        aliases: active
        failed_emails: next_attempt_at last_error finished_at claim_token claim_run told_at
        audit_logs: actor event severity ip details created_at
        webhooks: active disabled_at disabled_reason
        webhook_deliveries: next_attempt_at last_error finished_at claim_token claim_run
        export_requests: token_hash token_nonce
    """


@declare(
    schedule="*/5 * * * *", priority="high", sections=("spool", "personas", "export"),
    options={
        "grace": Option(kind.duration, "7d", "How long a deleted account is kept, shut, before all "
                        "it has is deleted. A notice has named the day to its owner, so a change "
                        "holds for later deletions only."),
        "reapply": argument(kind.switch, "no", "For --set reapply=yes, once, after a backup was "
                            "put back: delete again what was deleted since."),
    },
    idempotency="What is to be done is read from the rows that are left, each batch is one commit "
    "with its count, and the account's own row goes last: a killed or repeated run finds what is "
    "left and goes on.",
    sample=("id", "status", "deleted_at", "erase_after"),
    tables=_tables,
)
def job(ctx):
    """Shut what is new, delete what is due, then what came in late."""
    from jobs_lib.engines.purge import Known, refuse
    from jobs_lib.features.accounts import deleted, erase, late_rows, ledger, revoke

    known = Known(ctx, {})
    if ctx.dry_run:
        from jobs_lib.features.accounts.preview import preview
        return preview(ctx, known)
    counts = ctx.counts
    counts.update(revoked=0, erased=0, notices=0, rows=0, files=0, bytes_freed=0)
    pace = deleted.pace(ctx)
    unread = ledger.reapply(ctx, counts) if ctx.options.reapply else ""
    if not revoke.revoke_all(ctx, counts, pace):
        return counts
    if not ctx.may_expire():                # those that are new are shut all the same
        return counts
    going = erase.due(ctx)
    # What is suspicious stops the run at its end only: late rows have nothing to do with it.
    trouble = erase.trouble(ctx, known, going)
    if trouble or erase.erase_all(ctx, known, going, counts, pace):
        late_rows.erase_all(ctx, counts, pace)
    if trouble:
        refuse(ctx, "users", f"{trouble}. {unread}" if unread else trouble)
    if unread:
        raise JobsError(unread)
    return counts
