"""The notices to the owner of an account about an export; queued in the transaction that changes
the request."""
from __future__ import annotations

from jobs_lib import clock, text
from jobs_lib.features.notifications import render
from jobs_lib.features.notifications.enqueue import notify
from jobs_lib.features.notifications.kinds import EXPORT_READY

READY = "export-ready:"      # and the request's number: by its key a notice names its request


def ready(ctx, user: dict, row: dict, size: int, expires) -> None:
    """The export can be downloaded. The link is put in when the notice is sent (link.py)."""
    notify(ctx, user, EXPORT_READY, f"{READY}{row['id']}", {
        "requested": _day(row), "size": text.size(size, 1000), "expires": render.minute(expires)})


def failed(ctx, user: dict | None, row: dict) -> None:
    """The export failed at each of several attempts."""
    _failed(ctx, user, f"export-failed:{row['id']}", {"requested": _day(row), "why": ""})


def refused(ctx, user: dict | None, row: dict, why: str) -> None:
    """The export is not made, for a reason that the owner can read: one notice a day."""
    _failed(ctx, user, f"export-refused:{row['user_id']}:{ctx.now:%Y-%m-%d}", {
        "requested": _day(row), "why": why})


def _failed(ctx, user: dict | None, key: str, values: dict) -> None:
    if user and user["status"] != "deleted":
        notify(ctx, user, "export_failed", key, values)


def _day(row: dict) -> str:
    moment = clock.parse_any(row["requested_at"])
    return render.day(moment) if moment else "an earlier day"
