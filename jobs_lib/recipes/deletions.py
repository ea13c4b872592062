"""One run of `delete_accounts`: shut what is new, delete what is due, then what came in late."""
from __future__ import annotations

from itertools import chain

from .. import clock
from ..schema import references
from . import deletion, latecomers, reapply, revocation
from .accounts import Account, deleted, pace, timeless
from .preview import SAMPLE_ROWS
from .retention import Known, refuse


def run(ctx) -> dict:
    """Its counts."""
    counts = {"revoked": 0, "erased": 0, "notices": 0, "rows": 0, "files": 0, "bytes_freed": 0}
    known = Known(ctx, {})
    if ctx.dry_run:
        return _preview(ctx, known)
    speed = pace(ctx)
    if ctx.options.reapply:
        reapply.mark(ctx, counts)
    if not revocation.revoke_all(ctx, counts, speed):
        return counts
    going = deletion.due(ctx)
    # What is suspicious stops the run at its end only: late rows have nothing to do with it.
    trouble = deletion.trouble(ctx, known, going)
    if trouble or deletion.erase_all(ctx, going, counts, speed):
        latecomers.erase_all(ctx, known, counts, speed)
    if trouble:
        ctx.progressed = counts
        refuse(ctx, "users", trouble)
    return counts


def _preview(ctx, known) -> dict:
    """What a run would do, with nothing written; an account that is both shut and deleted counts twice."""
    again = {}
    if ctx.options.reapply:
        back = reapply.returned(ctx)
        ctx.show(f"delete again {len(back):,} account{'s' * (len(back) != 1)} that a backup has brought back",
                 [{"id": entry["user_id"], "deleted_at": entry["deleted_at"]} for entry in back[:SAMPLE_ROWS]])
        again = {"to_reapply": len(back)}
    new, going = [], []
    for account in chain(_timeless(ctx), deleted(ctx)):
        if not revocation.is_revoked(account):
            new.append(account)
        if (account.deletion["erase_after"] if revocation.is_revoked(account) else _due(ctx, account)) <= clock.text(
                ctx.now):
            going.append(account)
    trouble = deletion.suspicious(ctx, known, going)
    ctx.show(f"shut {len(new):,} deleted account{'s' * (len(new) != 1)}", _sample(new))
    ctx.show(f"delete {len(going):,} account{'s' * (len(going) != 1)} for good", _sample(going),
             f"a run would stop before: {trouble}" if trouble else "")
    ids = [account.user_id for account in going]
    rows = sum(ctx.db.value(f"SELECT COUNT(*) FROM {{{reference.table}}} WHERE user_id IN (:ids)", ids=ids)
               for reference in references.to("users")) if ids else 0
    late = latecomers.preview(ctx, known)
    return {**again, "to_revoke": len(new), "to_erase": len(going), "rows_to_erase": rows + len(going),
            "users_gone": late}


def _timeless(ctx):
    """Accounts that a run would give the present time."""
    last = 0
    while rows := timeless(ctx, last):
        yield from (Account(row["id"], None, None, None, None, None, None) for row in rows)
        last = rows[-1]["id"]


def _due(ctx, account) -> str:
    return clock.text((clock.parse_any(account.deleted_at) or ctx.now) + ctx.options.grace)


def _sample(chosen: list) -> list[dict]:
    return [{"id": account.user_id, "status": "deleted", "deleted_at": account.deleted_at or "now"}
            for account in chosen[:SAMPLE_ROWS]]
