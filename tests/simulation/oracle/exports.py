"""Exports: whole or absent (docs/exports.md)."""
from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from pathlib import Path

from . import DAY, HOUR, Rule, is_calm_tick, new, seconds

KEEP, PER_DAY = 7 * DAY, 2
# {file in the zip: table}
TABLES = {"aliases": "aliases", "destinations": "destinations", "domains": "domains",
          "webhooks": "webhooks", "webhook_deliveries": "webhook_deliveries",
          "failed_forwards": "failed_emails", "message_logs": "message_logs",
          "held_messages": "overflow_hold", "notifications": "notifications",
          "exports": "export_requests"}
SECRET = (b"whsec_", b"token_hash", b"raw_path", b"claim_run")


class Exports(Rule):
    """What may be downloaded is whole and its owner's; what may not is not there."""

    def __init__(self) -> None:
        self.unowned: dict[str, float] = {}         # since when no row names a file
        self.ready: dict[int, list] = {}            # when exports of a user were ready

    def check(self, step):
        """Rows, notices, then files."""
        folder = Path(step.options["export"]["dir"])
        rows, before = step.after["export_requests"], step.before["export_requests"]
        told = Counter(row["user_id"] for row in new(step, "notifications").values()
                       if row["kind"] == "export_ready")
        # the first of two may be replaced by the second at once
        done = [row for id, row in rows.items() if row["sha256"]
                and not before.get(id, {}).get("sha256")]
        if told != Counter(row["user_id"] for row in done):
            yield f"exports ready: {[row['id'] for row in done]}; notices by user: {dict(told)}"
        for row in done:
            if row["status"] == "ready":
                yield from _whole(step, folder, row)
            yield from self._often(step, row)
        for id, row in rows.items():
            was = before.get(id, {}).get("status", "queued")
            if was in ("failed", "expired") and row["status"] != was:
                yield f"export {id} was {was} and is {row['status']}"
            if row["status"] == "ready":
                # whose account is deleted is let in no more, and its file goes before its row
                is_kept = step.after["users"].get(row["user_id"], {}).get("status") != "deleted"
                is_there = row["file_name"] in step.files["exports"]
                if is_kept and _is_open(step, row) and not is_there:
                    yield f"export {id} may be downloaded, and its file is not there"
            elif row["token_hash"]:
                yield f"export {id} is {row['status']}, and still has a token"
        for user, number in Counter(row["user_id"] for row in rows.values()
                                    if _is_open(step, row)).items():
            if number > 1:
                yield f"{number} exports of user {user} may be downloaded"
        yield from self._in_time(step, rows)
        yield from self._files(step, rows)

    def _often(self, step, row: dict):
        times = self.ready.setdefault(row["user_id"], [])
        times.append(step.ended)
        last_day = [when for when in times if when > step.ended - DAY + HOUR]
        if len(last_day) > PER_DAY and step.ended - step.clock_right_since > 3 * DAY:
            yield f"user {row['user_id']} got {len(last_day)} exports within a day"

    def _in_time(self, step, rows: dict):
        """What should have been made or ended by now."""
        if not is_calm_tick(step):
            return
        quiet = step.ended - step.quiet_since
        for id, row in rows.items():
            owner = step.after["users"].get(row["user_id"])
            waits = min(quiet, step.began - seconds(row["requested_at"]))
            if row["status"] in ("queued", "running") and waits > 3 * HOUR and owner and (
                    owner["status"] == "active"):
                yield f"export {id} has been {row['status']} for {waits / HOUR:.1f} h"
            if row["status"] == "running" and quiet > HOUR:
                yield f"export {id} is running after a whole run"
            if row["status"] == "ready" and quiet > HOUR and step.began > 60 + min(
                    seconds(row["expires_at"]), seconds(row["finished_at"]) + KEEP):
                yield f"export {id} may be downloaded longer than 7 days"

    def _files(self, step, rows: dict):
        """None without a row that needs it, but for a while after a kill."""
        needed = {row["file_name"] for row in rows.values() if row["status"] == "ready"}
        found = {name for name in step.files["exports"] if name.endswith(".zip")
                 or "export-" in name} - needed
        self.unowned = {name: self.unowned.get(name, step.ended) for name in found}
        quiet = step.ended - step.quiet_since
        for name, since in self.unowned.items():
            if not step.trouble and min(quiet, step.ended - since) > 2 * HOUR:
                yield f"no row needs {name} in the exports, for {(step.ended - since) / HOUR:.1f} h"


def _is_open(step, row: dict) -> bool:
    """Whether it may be downloaded by the time of the host, which ends its time before its file."""
    return row["status"] == "ready" and seconds(row["expires_at"]) > step.ended + max(0, step.skew)


def _whole(step, folder: Path, row: dict):
    """The file is the one of its row, and has the rows that its owner had."""
    path = folder / str(row["file_name"])
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return                                      # said by the caller
    if len(data) != row["file_bytes"] or hashlib.sha256(data).hexdigest() != row["sha256"]:
        yield f"export {row['id']} has other bytes than its row says"
        return
    with zipfile.ZipFile(path) as archive:
        if bad := archive.testzip():
            yield f"export {row['id']}: {bad} is damaged"
        for name, table in TABLES.items():
            text = archive.read(f"json/{name}.json")
            found = {each["id"] for each in json.loads(text)}
            ids = [{id for id, each in rows[table].items() if each["user_id"] == row["user_id"]}
                   for rows in (step.before, step.after)]
            least = ids[0] & ids[1]
            if step.ended - seconds(row["started_at"]) > HOUR:
                least = set()       # its process was stopped: it has the rows of when it began
            if not least <= found <= ids[0] | ids[1]:
                yield (f"export {row['id']} has the {name} {sorted(found)}, and user "
                       f"{row['user_id']} has {sorted(ids[0])}")
        for name in archive.namelist():
            if name.startswith(("json/", "csv/")):
                text = archive.read(name)
                if any(word in text for word in SECRET):
                    yield f"export {row['id']}: {name} has a secret"


RULES = (Exports,)
