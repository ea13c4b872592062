"""What is deleted by its age: never before, nothing else, not much later; and files with their rows
(docs/retention.md, docs/mail.md)."""
from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

from . import DAY, HOUR, Rule, seconds

# Days; where they are not the defaults, host.py sets them.
KEEP = {"failed_emails": 7, "overflow_hold": 30, "released": 7, "spam_quarantine": 30,
        "message_logs": 35, "audit_logs": 25, "critical": 40, "used_links": 1, "idle": 30,
        "notifications": 20, "webhook_deliveries": 10}
LEAST = 3                       # days of a log, whatever its owner chose
FINISHED = {"failed_emails": ("sent", "failed"), "notifications": ("sent", "failed"),
            "webhook_deliveries": ("delivered", "failed")}
# What needs no more than the row, and its owner, and the column that its time begins with.
SIMPLE = {"failed_emails": "finished_at", "spam_quarantine": "quarantined_at",
          "message_logs": "created_at", "audit_logs": "created_at", "magic_links": "expires_at",
          "sessions": "expires_at", "webhook_deliveries": "created_at",
          "notifications": "created_at"}
LATE = 27 * HOUR                # a job that runs once a day, and its tick

QUEUED = {"status", "attempts", "next_attempt_at", "last_attempt_at", "last_error", "finished_at",
          "claim_run", "uncertain"}
# The columns of the app that a job may change, other than for an account that is being deleted.
CHANGES = {
    "users": set(), "aliases": {"active", "expiry_notified_at"},
    "destinations": {"reminded_at", "removal_notified_at"}, "alias_destinations": set(),
    "destination_verifications": set(), "message_logs": set(), "header_snapshots": set(),
    "failed_emails": QUEUED | {"last_code", "notified_at", "notice_id"},
    "overflow_hold": {"warned_at", "warning_id"}, "spam_quarantine": set(), "audit_logs": set(),
    "magic_links": set(), "sessions": set(), "notification_optouts": set(),
    "domains": {"status", "dns_results", "checked_at", "next_check_at", "recheck_requested_at",
                "failing_since", "failures", "warned_at", "verified_at"},
    "webhooks": {"active", "disabled_at", "disabled_reason", "failing_since", "paused_until"},
    "webhook_deliveries": QUEUED | {"response_status", "response_excerpt"}}
FOR_EVER = ("users", "aliases", "alias_destinations", "domains", "webhooks", "export_requests",
            "notification_optouts", "usage_events", "message_stats")
JOBS_ADD = ("audit_logs", "notifications")      # of those that the app writes too
# From when on a row may be deleted: its column, and how long after it. A kill just before the
# COMMIT brings it back without its file.
SPOOLED = {"failed_emails": (("finished_at", 7 * DAY),),
        "overflow_hold": (("held_at", 30 * DAY), ("released_at", 7 * DAY)),
        "spam_quarantine": (("quarantined_at", 30 * DAY),)}


def limit(table: str, row: dict, step) -> float | None:
    """The second at which a row is at its limit; None: it stays."""
    if table in FINISHED and row["status"] not in FINISHED[table]:
        return None
    begins = seconds(row[SIMPLE[table]])
    if table == "magic_links":
        used = seconds(row["used_at"])
        return begins if used is None else min(begins, used + KEEP["used_links"] * DAY)
    if table == "sessions":
        return min(begins, seconds(row["last_seen_at"]) + KEEP["idle"] * DAY)
    days = KEEP["critical" if row.get("severity") == "critical" else table]
    if table == "message_logs":
        own = step.before["users"].get(row["user_id"], {}).get("log_retention_days")
        days = days if own is None else min(days, max(LEAST, own))
    return begins + days * DAY


class ByAge(Rule):
    """Rows that are deleted by their age alone."""

    def __init__(self) -> None:
        self._chosen: dict[int, tuple] = {}     # user: (own retention, since when it is known)
        self._came: dict[int, float] = {}       # log row: when it was written, perhaps late

    def check(self, step):
        for id, user in step.after["users"].items():
            if self._chosen.get(id, ((), 0))[0] != user["log_retention_days"]:
                self._chosen[id] = user["log_retention_days"], step.ended
        for table in SIMPLE:
            for id, row in step.gone(table).items():
                if table != "audit_logs" and step.is_leaving(row):
                    continue
                end = limit(table, row, step)
                if end is None and step.was_tried(table, id):
                    end = limit(table, {**row, "status": FINISHED[table][0]}, step)
                if end is not None:
                    yield from step.ages.too_soon(f"{table} {id} was deleted", end)
                elif not step.skew:     # with a wrong clock it may end and be old in one tick
                    yield f"{table} {id} was deleted while it was {row['status']}"
            for id, row in step.after[table].items():
                end = limit(table, row, step)
                if (table == "failed_emails" and row["status"] == "failed"
                        and not row["notified_at"]):
                    end += DAY
                if table == "message_logs":
                    end = max(end, self._chosen.get(row["user_id"], (None, 0))[1],
                              self._came.setdefault(id, step.began))
                if end is not None and step.is_owed(end, LATE) and not step.is_leaving(row):
                    yield f"{table} {id} is there {(step.ended - end) / HOUR:.1f} h after its limit"


class Archived(Rule):
    """An audit row that has gone is in exactly one archive, as it was."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple] = {}
        self._read: set[str] = set()

    def check(self, step):
        store = Path(step.options["archive"]["store"])
        for row in step.after["audit_archives"].values():
            name = str(row["location"]).rpartition("/")[2]
            if row["status"] == "writing" or name in self._read:
                continue
            self._read.add(name)
            content = (store / name).read_bytes()
            if row["sha256"] != hashlib.sha256(content).hexdigest():
                yield f"{name} has not the digest that audit_archives names"
            rows = [json.loads(line) for line in gzip.decompress(content).splitlines()]
            for found in rows:
                if found["id"] in self._rows:
                    yield f"audit row {found['id']} is in two archives"
                self._rows[found["id"]] = _fact(found)
        for id, row in step.gone("audit_logs").items():
            if self._rows.get(id) != _fact(row):
                yield f"audit row {id} was deleted, and in the archives it is {self._rows.get(id)}"


def _fact(row: dict) -> tuple:
    return row["event"], row["severity"], row["created_at"]


class Untouched(Rule):
    """Jobs change no column and delete no row of the app but those that are theirs to."""

    def check(self, step):
        for table, columns in CHANGES.items():
            for was, row in step.changed(table):
                touched = {name for name in row if row[name] != was[name]} - columns
                leaving = (was["status"] == "deleted" if table == "users" else
                           "user_id" in was and step.is_leaving(was))
                # an alias on a domain of an account that is deleted
                if touched and not leaving and touched != {"domain_id"}:
                    yield f"{table} {row.get('id')} was changed in {', '.join(sorted(touched))}"
            if table not in JOBS_ADD and step.new(table):
                yield f"{table} has rows that a job wrote: {[*step.new(table)]}"
        for table in FOR_EVER:
            for key, row in step.gone(table).items():
                if not _goes_with_account(step, table, row):
                    yield f"{table} {key} was deleted, and its owner is still there"


def _goes_with_account(step, table: str, row: dict) -> bool:
    if table == "users":
        return row["status"] == "deleted"
    if table != "alias_destinations":
        return step.is_leaving(row)
    ends = (step.before["aliases"].get(row["alias_id"]),
            step.before["destinations"].get(row["destination_id"]))
    return any(end is None or step.is_leaving(end) for end in ends)


class Spool(Rule):
    """A file goes with the last row that names it; one that no row ever named is the app's."""

    def __init__(self) -> None:
        self._named: set[str] = set()           # those that a row named once
        self._unnamed: set[str] = set()         # those that no row ever named
        self._spared: set[str] = set()          # gone at a kill, before their rows

    def check(self, step):
        named, needed, past = set(), set(), set()
        for table, ends in SPOOLED.items():
            for row in step.after[table].values():
                named.add(row["raw_path"])
                # an account's files are deleted just before its rows, which it will not see again
                if step.status(row) != "deleted":
                    is_past = any(row[column] is not None and seconds(row[column]) + keep
                                  < step.ended + step.skew for column, keep in ends)
                    (past if is_past else needed).add(row["raw_path"])
            self._named.update(row["raw_path"] for row in step.before[table].values())
        self._named |= named
        there = {path for path in step.files["spool"] if not path.startswith(".")}
        if step.struck:
            self._spared |= past - needed - there
        for path in (needed | past) - there - self._spared:
            yield f"{path} is named by a row, and is not there"
        for path in there & self._named - named:
            yield f"{path} is there though the last row that named it was deleted"
        for path in self._unnamed - self._named - there:
            yield f"{path} was deleted though no row ever named it"
        self._unnamed = there - self._named


RULES = (ByAge, Archived, Untouched, Spool)
