"""What delete_accounts would do, for a dry run."""
from __future__ import annotations

from itertools import chain

from jobs_lib import clock
from jobs_lib.chunks import chunked
from jobs_lib.database.schema import references
from jobs_lib.engines.dry_run import SAMPLE_ROWS

from . import erase, late_rows, ledger, revoke
from .deleted import PAGE, Account, deleted, timeless


def preview(ctx, known) -> dict:
    """Show it, and return the counts; an account that is both shut and deleted counts twice."""
    again = {}
    if ctx.options.reapply:
        back, unread = ledger.returned(ctx)
        ctx.show(f"delete again {len(back):,} account{'s' * (len(back) != 1)} that a backup has "
                 "brought back", [{"id": entry["user_id"], "deleted_at": entry["deleted_at"]}
                                  for entry in back[:SAMPLE_ROWS]],
                 f"a run would fail at its end: {unread:,} of the file's lines cannot be read"
                 if unread else "")
        again = {"reapplied": len(back)}
    new, going = [], []
    for account in chain(_timeless(ctx), deleted(ctx)):
        if not revoke.is_revoked(account):
            new.append(account)
        if (account.deletion["erase_after"] if revoke.is_revoked(account)
            else _due(ctx, account)) <= clock.text(
                ctx.now):
            going.append(account)
    trouble = erase.suspicious(ctx, known, going)
    ctx.show(f"shut {len(new):,} deleted account{'s' * (len(new) != 1)}", _sample(new))
    ctx.show(f"delete {len(going):,} account{'s' * (len(going) != 1)} for good", _sample(going),
             f"a run would stop before: {trouble}" if trouble else "")
    rows = _rows(ctx, [account.user_id for account in going])
    late = late_rows.owners(ctx)
    if late:
        ctx.show(f"delete what came in late for deleted accounts: {len(late):,}", [])
    return {**again, "revoked": len(new), "erased": len(going), "rows": rows + len(going),
            "late_rows": _rows(ctx, late)}


def _rows(ctx, ids: list) -> int:
    """How many rows name these users."""
    return sum(ctx.db.value(f"SELECT COUNT(*) FROM {{{reference.table}}} WHERE user_id IN (:ids)",
                            ids=some)
               for some in chunked(ids, PAGE) for reference in references.to("users"))


def _timeless(ctx):
    """Accounts that a run would give the present time."""
    for ids in timeless(ctx):
        yield from (Account(user_id, None, None, None, None, None, None) for user_id in ids)


def _due(ctx, account) -> str:
    return clock.text((clock.parse_any(account.deleted_at) or ctx.now) + ctx.options.grace)


def _sample(chosen: list) -> list[dict]:
    return [{"id": account.user_id, "status": "deleted", "deleted_at": account.deleted_at or "now"}
            for account in chosen[:SAMPLE_ROWS]]
