"""Close deleted accounts immediately, delete all they have after 7 days.

An app deletes an account by `users.status = 'deleted'` and `deleted_at`, and refuses it from then
on. The next run first closes every account that is newly deleted: sessions and sign-in links are
deleted, aliases and webhooks are switched off, queued mail, deliveries and exports are cancelled.
Its owner gets one last notice, which names the day. On that day all that belongs to the account is
deleted, table by table, with its files. Audit rows stay, without anything that says who they were
about, and are deleted by their own age. A keyed hash of each of its aliases stays, so that no
address is ever given to anyone else.

If more than 50 accounts and a fifth of all would be deleted at once, they are closed and nothing is
deleted until `--yes` confirms that it is no mistake. `deletions.jsonl` in `state_dir` has a line
for each account, by which it is deleted again after a backup was restored (docs/deletion.md).

Crash safety: a row is deleted in the commit that counts it, a file before that commit, and the
account's own row comes last, so the next run finds the account and continues.
"""
from __future__ import annotations

from jobs_lib.config import option_types as kind
from jobs_lib.config.option_types import Option
from jobs_lib.job import declare

NOTHING = dict.fromkeys(("revoked", "erased", "notices", "rows", "files", "bytes_freed"), 0)


@declare(
    schedule="*/5 * * * *", priority="high", sections=("spool", "personas", "export"),
    options={
        "grace": Option(kind.duration, "7d", "How long a deleted account is kept, closed, before "
                        "all it has is deleted. A notice has named the day to its owner, so a "
                        "change applies to later deletions only."),
    },
    idempotency="What is to be done is read from the rows that are left, each batch is one commit "
    "with its count, and the account's own row is deleted last: a killed or repeated run finds "
    "what is left and continues.",
    sample=("id", "status", "deleted_at", "erase_after"),
    tables="users=- aliases=- alias_destinations- destinations- destination_verifications- "
    "domains- message_logs- header_snapshots- failed_emails=- overflow_hold- spam_quarantine- "
    "audit_logs=+ magic_links- sessions- webhooks=- webhook_deliveries=- export_requests=-",
)
def job(ctx):
    """Close what is new, delete what is due."""
    from jobs_lib.features.accounts import due
    if not ctx.dry_run:
        ctx.counts.update(NOTHING)
        if due.is_idle(ctx):                # most runs load nothing that deletes
            ctx.may_expire()
            return ctx.counts
    from jobs_lib.engines import safety_stop
    from jobs_lib.features.accounts import erase, revoke, rows

    guard = safety_stop.RetentionGuard(ctx, {})
    if ctx.dry_run:
        from jobs_lib.features.accounts.preview import preview
        return preview(ctx, guard)
    sizers = rows.batch_sizers(ctx)
    due.schedule(ctx)
    # those that are new are closed all the same while the clock is in doubt
    if not revoke.revoke_all(ctx, sizers) or not ctx.may_expire():
        return ctx.counts
    going = erase.going(ctx)
    if unconfirmed := erase.unconfirmed(ctx, guard, going):
        safety_stop.refuse(ctx, unconfirmed)
    erase.erase_all(ctx, guard, going, sizers)
    return ctx.counts
