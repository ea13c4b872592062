"""What delete_accounts would do, for a dry run."""
from __future__ import annotations

from jobs_lib.chunks import chunked
from jobs_lib.database.schema import references
from jobs_lib.engines.dry_run import SAMPLE_ROWS
from jobs_lib.engines.safety_stop import would_stop
from jobs_lib.text import counted

from . import erase, late_rows, ledger, revoke
from .deleted import PAGE, Account, deleted, timeless


def preview(ctx, guard) -> dict:
    """Show it, and return the counts; an account that is both closed and deleted counts twice."""
    if ctx.options.reapply:
        _show_returned(ctx)
    accounts = [*_timeless(ctx), *deleted(ctx)]
    new = [account for account in accounts if not revoke.is_revoked(account)]
    going = [account for account in accounts if erase.is_due(ctx, account)]
    ctx.show(f"close {counted(len(new), 'deleted account')}", _sample(new))
    ctx.show(f"delete {counted(len(going), 'account')} for good", _sample(going),
             would_stop(erase.unconfirmed(ctx, guard, going)))
    rows = _rows(ctx, [account.user_id for account in going])
    late = late_rows.owners(ctx)
    if late:
        ctx.show(f"delete late rows of {counted(len(late), 'deleted account')}", [])
    ctx.counts.update(revoked=len(new), erased=len(going), rows=rows + len(going),
                      late_rows=_rows(ctx, late))
    return ctx.counts


def _show_returned(ctx) -> None:
    back, unread = ledger.returned(ctx)
    ctx.count("reapplied", len(back))
    ctx.show(f"delete again {counted(len(back), 'account')} that a backup has brought back",
             [{"id": entry["user_id"], "deleted_at": entry["deleted_at"]}
              for entry in back[:SAMPLE_ROWS]],
             f"a run would fail at its end: {unread:,} of the file's lines cannot be read"
             if unread else "")


def _rows(ctx, ids: list) -> int:
    """How many rows name these users."""
    return sum(ctx.db.value(f"SELECT COUNT(*) FROM {{{reference.table}}} WHERE user_id IN (:ids)",
                            ids=some)
               for some in chunked(ids, PAGE) for reference in references.to("users")) + sum(
        further.number(ctx.db, some) for some in chunked(ids, PAGE) for further in ctx.db.name.also)


def _timeless(ctx):
    """Accounts that a run would give the present time."""
    for ids in timeless(ctx):
        yield from (Account(user_id, None, None, None, None, None, None) for user_id in ids)


def _sample(chosen: list) -> list[dict]:
    return [{"id": account.user_id, "status": "deleted", "deleted_at": account.deleted_at or "now"}
            for account in chosen[:SAMPLE_ROWS]]
