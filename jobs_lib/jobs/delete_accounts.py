"""Close deleted accounts immediately, delete all they have after 7 days.

Your app deletes an account by `users.status = 'deleted'` and `deleted_at`, and refuses its user
from then on. The next run closes the account: it deletes sessions and sign-in links, switches off
aliases and webhooks, cancels queued mail and deliveries, and refuses exports. The owner gets one
last notice, which names the day of deletion. On that day all that belongs to the account is
deleted, table by table, with its files. Audit rows are kept until their own age, without anything
that says whom they are about. A keyed hash of each alias is kept, so no address is ever given to
anyone else.

If more accounts are marked as deleted than is likely to be meant, none is closed or deleted until
`--yes` confirms it. An account whose notice could not be sent is kept for 28 days.
`deletions.jsonl` in `state_dir` has a line for each account: by it the account is deleted again
after a backup was restored (docs/operate.md).

Killed or run twice: a row is deleted in the commit that counts it, a file before that commit. The
account's own row comes last, so the next run finds the account and continues.
"""
from __future__ import annotations

from jobs_lib.catalogue import declare
from jobs_lib.config.option_types import Option, duration


@declare(
    schedule="*/5 * * * *", priority="high", sections=("spool", "personas", "export"),
    options={
        "grace": Option(duration, "7d", "How long a deleted account stays closed before its data "
            "is deleted. The owner has been notified of the day, so a change applies to later "
            "deletions only."),
    },
    sample=("id", "status", "deleted_at", "erase_after"),
    tables="users=- aliases=- alias_destinations- destinations- destination_verifications- "
    "domains- message_logs- header_snapshots- failed_emails=- overflow_hold- spam_quarantine- "
    "audit_logs=+ magic_links- sessions- webhooks=- webhook_deliveries=- export_requests=-",
)
def job(ctx):
    """Close what is new, delete what is due."""
    from jobs_lib.features import accounts
    ctx.counts.update(revoked=0, erased=0, notices=0, rows=0)
    if not ctx.dry_run:
        ctx.counts.update(files=0, bytes_freed=0)
    new, going = accounts.find(ctx)
    # most runs load nothing that deletes; what the guard held is over once it is put right
    if new or going or ctx.memory.get("held"):
        from jobs_lib.features.accounts import deletion
        deletion.run(ctx, new, going)
    return ctx.counts
