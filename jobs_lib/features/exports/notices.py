"""What the owner of an account is told about an export; called in the transaction that makes it
so."""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.features.notifications import enqueue, render
from jobs_lib.features.notifications.kinds import EXPORT_READY

READY = "export-ready:"      # and the request's number: by its key a notice names its request


def ready(ctx, user: dict, row: dict, size: int, expires) -> None:
    """It can be downloaded. The link is put in when the notice is sent (export_link.py)."""
    _tell(ctx, user, EXPORT_READY, f"{READY}{row['id']}", {
        "requested": _day(row), "size": render.size(size), "expires": render.minute(expires)})


def failed(ctx, user: dict | None, row: dict) -> None:
    """It was tried several times, in vain."""
    _tell_once(ctx, user, f"export-failed:{row['id']}", {"requested": _day(row), "why": ""})


def refused(ctx, user: dict | None, row: dict, why: str) -> None:
    """It is not made, for a reason that the owner can read. Of many in a day, one is told."""
    _tell_once(ctx, user, f"export-refused:{row['user_id']}:{ctx.now:%Y-%m-%d}", {
        "requested": _day(row), "why": why})


def _tell_once(ctx, user: dict | None, key: str, values: dict) -> None:
    if user and user["status"] != "deleted" and not ctx.db.value(
            "SELECT COUNT(*) FROM {notifications} WHERE dedupe_key = :key", key=key):
        _tell(ctx, user, "export_failed", key, values)


def _tell(ctx, user: dict, kind: str, key: str, values: dict) -> None:
    if enqueue.reaches(ctx, user):
        letter = render.write(ctx, kind, {"name": user["name"] or user["email"], **values})
        enqueue.queue(ctx.db, now=ctx.clock(), user_id=user["id"], kind=kind,
                      to_email=user["email"], letter=letter, dedupe_key=key)


def _day(row: dict) -> str:
    moment = clock.parse_any(row["requested_at"])
    return render.day(moment) if moment else "an earlier day"
