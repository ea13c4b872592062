"""Exports: whole or absent (docs/accounts.md)."""
from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from pathlib import Path

from . import DAY, HOUR, Rule, seconds

KEEP = 7 * DAY


class Exports(Rule):
    """What may be downloaded is whole and its owner's; what may not is not there."""

    def __init__(self) -> None:
        self.unowned: dict[str, float] = {}         # since when no row names a file

    def check(self, step):
        rows, before = step.after["export_requests"], step.before["export_requests"]
        # the first of two may be replaced by the second at once
        done = [row for id, row in rows.items() if row["sha256"]
                and not before.get(id, {}).get("sha256")]
        told = step.notified("export_ready")
        if told != Counter(row["user_id"] for row in done):
            yield f"exports ready: {[row['id'] for row in done]}; notices by user: {dict(told)}"
        for row in done:
            path = Path(step.options["export"]["dir"]) / str(row["file_name"])
            if row["status"] != "ready" or not path.exists():       # which is said below
                continue
            data = path.read_bytes()
            if (len(data), hashlib.sha256(data).hexdigest()) != (row["file_bytes"], row["sha256"]):
                yield f"export {row['id']} has other bytes than its row says"
            with zipfile.ZipFile(path) as archive:
                if bad := archive.testzip():
                    yield f"export {row['id']}: {bad} is damaged"
        for id, row in rows.items():
            was = before.get(id, {}).get("status", "queued")
            if was in ("failed", "expired") and row["status"] != was:
                yield f"export {id} was {was} and is {row['status']}"
            # whose account is deleted is let in no more, and its file goes before its row
            if (_is_open(step, row) and row["file_name"] not in step.files["exports"]
                    and step.status(row) != "deleted"):
                yield f"export {id} may be downloaded, and its file is not there"
            if row["status"] != "ready" and row["token_hash"]:
                yield f"export {id} is {row['status']}, and still has a token"
        for user, number in Counter(row["user_id"] for row in rows.values()
                                    if _is_open(step, row)).items():
            if number > 1:
                yield f"{number} exports of user {user} may be downloaded"
        if step.is_calm:
            for row in rows.values():
                yield from self._in_time(step, row)
        needed = {row["file_name"] for row in rows.values() if row["status"] == "ready"}
        found = {name for name in step.files["exports"] if name.endswith(".zip")
                 or "export-" in name} - needed
        self.unowned = {name: self.unowned.get(name, step.ended) for name in found}
        for name, since in self.unowned.items():
            if step.is_owed(since, 2 * HOUR):       # a while after a kill
                yield f"no row needs {name} in the exports, for {(step.ended - since) / HOUR:.1f} h"

    def _in_time(self, step, row: dict):
        """Whether it should have been made or ended by now."""
        id, status, quiet = row["id"], row["status"], step.quiet > HOUR
        waits = min(step.quiet, step.began - seconds(row["requested_at"]))
        if status in ("queued", "running") and waits > 3 * HOUR and step.status(row) == "active":
            yield f"export {id} has been {status} for {waits / HOUR:.1f} h"
        if status == "running" and quiet:
            yield f"export {id} is running after a whole run"
        if status == "ready" and quiet and step.began > 60 + min(
                seconds(row["expires_at"]), seconds(row["finished_at"]) + KEEP):
            yield f"export {id} may be downloaded longer than 7 days"


def _is_open(step, row: dict) -> bool:
    """Whether it may be downloaded by the time of the host, which ends its time before its file; or
    ends one that is of a clock ahead, after which a kill leaves its row for a tick."""
    until = step.ended + max(0, step.skew)
    return (row["status"] == "ready" and row["token_hash"] and seconds(row["expires_at"]) > until
            and seconds(row["finished_at"]) <= until + DAY)


RULES = (Exports,)
