"""What delete_accounts would do, for a dry run."""
from __future__ import annotations

from collections import Counter

from jobs_lib.engines.dry_run import SAMPLE_ROWS
from jobs_lib.text import counted

from . import close, erase


def preview(ctx, new: list, going: list) -> None:
    """Show it, and count it; an account that is both closed and erased counts twice."""
    notices = sum(close.write_notice(ctx, account) for account in new)
    rows: Counter = sum((erase.rows_of(ctx, account) for account in going), Counter())
    with_notices = f", with {counted(notices, 'notice')}" if notices else ""
    ctx.show(f"close {counted(len(new), 'deleted account')}{with_notices}", _sample(new))
    ctx.show(f"delete {counted(len(going), 'account')} for good", _sample(going),
             ", ".join(f"{number:,} of {ctx.db.name(table)}"
                       for table, number in rows.most_common()))
    ctx.counts.update(revoked=len(new), erased=len(going), notices=notices,
                      rows=sum(rows.values()))


def _sample(accounts: list) -> list[dict]:
    return [{"id": account.user_id, "status": "deleted",
             "deleted_at": account.deleted_at if account.is_timed else "now"}
            for account in accounts[:SAMPLE_ROWS]]
