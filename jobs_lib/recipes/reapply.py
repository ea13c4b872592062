"""After a backup was put back: the accounts that it brought back are deleted again, at once and without a notice."""
from __future__ import annotations

from .. import clock
from . import deletion_record

PAGE = 500


def mark(ctx, counts: dict) -> None:
    """Give the users that were gone for good the status `deleted` again. The run then does the rest."""
    again = 0
    over = ctx.now - ctx.options.grace          # no second grace
    for entry in returned(ctx):
        before = clock.parse_any(entry["deleted_at"]) or over
        again += ctx.db.execute(
            "UPDATE {users} SET status = 'deleted', deleted_at = :at WHERE id = :id AND created_at = :made"
            " AND (status <> 'deleted' OR deleted_at IS NULL OR deleted_at > :at)", id=entry["user_id"],
            made=entry["created_at"], at=min(before, over))
    counts["reapplied"] = again
    ctx.log.event("reapplied", accounts=again)


def returned(ctx) -> list[dict]:
    """The entries of the file whose user is there, and is the same: made at the same second."""
    found, page = [], []
    for entry in deletion_record.entries(ctx.section("core").state_dir):
        page.append(entry)
        if len(page) == PAGE:
            found += _there(ctx, page)
            page = []
    found += _there(ctx, page)
    return list({entry["user_id"]: entry for entry in found}.values())


def _there(ctx, page: list[dict]) -> list[dict]:
    made = {row["id"]: row["created_at"] for row in ctx.db.query(
        "SELECT id, created_at FROM {users} WHERE id IN (:ids)", ids=[entry["user_id"] for entry in page])}
    return [entry for entry in page if made.get(entry["user_id"]) == entry["created_at"]]
