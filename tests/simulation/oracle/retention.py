"""What is deleted by its age: never before, nothing else, not much later (docs/retention.md)."""
from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

from . import DAY, HOUR, Rule, changed, gone, new, seconds, was_tried
from .ages import Aged, is_leaving, is_owed

# Days; where they are not the defaults, host.py sets them.
KEEP = {"failed_emails": 7, "overflow_hold": 30, "released": 7, "spam_quarantine": 30,
        "message_logs": 35, "audit_logs": 25, "critical": 40, "used_links": 1, "idle": 30,
        "job_runs": 3, "notifications": 20, "webhook_deliveries": 10}
LEAST = 3                       # days of a log, whatever its owner chose
FINISHED = {"failed_emails": ("sent", "failed"), "notifications": ("sent", "failed"),
            "webhook_deliveries": ("delivered", "failed")}
LATE = 27 * HOUR                # a job that runs once a day, and its tick

QUEUED = {"status", "attempts", "next_attempt_at", "last_attempt_at", "last_error", "finished_at",
          "claim_run"}
# The columns of the app that a job may change, other than for an account that is being deleted.
CHANGES = {
    "users": set(), "aliases": {"active", "expiry_notified_at"},
    "destinations": {"reminded_at", "removal_notified_at"}, "alias_destinations": set(),
    "destination_verifications": set(), "message_logs": set(), "header_snapshots": set(),
    "failed_emails": QUEUED | {"last_code", "uncertain", "notified_at", "notice_id"},
    "overflow_hold": {"warned_at", "warning_id"}, "spam_quarantine": set(), "audit_logs": set(),
    "magic_links": set(), "sessions": set(), "notification_optouts": set(),
    "domains": {"status", "dns_results", "checked_at", "next_check_at", "recheck_requested_at",
                "failing_since", "failures", "warned_at", "verified_at"},
    "webhooks": {"active", "disabled_at", "disabled_reason", "failing_since", "paused_until"},
    "webhook_deliveries": QUEUED | {"response_status", "response_excerpt", "uncertain"},
}
FOR_EVER = ("users", "aliases", "alias_destinations", "domains", "webhooks", "export_requests",
            "notification_optouts", "usage_events", "message_stats")
JOBS_ADD = ("audit_logs", "notifications")      # of those that the app writes too


def log_days(users: dict, user: int) -> int:
    """How long a user's log is kept."""
    chosen = (users.get(user) or {}).get("log_retention_days")
    return KEEP["message_logs"] if chosen is None else min(KEEP["message_logs"], max(LEAST, chosen))


def limit(table: str, row: dict, step) -> float | None:
    """The second at which a row is at its limit; None: it stays. Of the tables that need no more
    than the row, and its owner."""
    if table in FINISHED and row["status"] not in FINISHED[table]:
        return None
    if table == "message_logs":
        return seconds(row["created_at"]) + DAY * log_days(step.before["users"], row["user_id"])
    if table == "magic_links":
        used = seconds(row["used_at"])
        return min(seconds(row["expires_at"]),
                   float("inf") if used is None else used + KEEP["used_links"] * DAY)
    if table == "sessions":
        return min(seconds(row["expires_at"]), seconds(row["last_seen_at"]) + KEEP["idle"] * DAY)
    if table == "audit_logs":
        return seconds(row["created_at"]) + DAY * KEEP[
            "critical" if row["severity"] == "critical" else table]
    column = {"failed_emails": "finished_at", "spam_quarantine": "quarantined_at"}.get(
        table, "created_at")
    return seconds(row[column]) + KEEP[table] * DAY


SIMPLE = ("failed_emails", "spam_quarantine", "message_logs", "audit_logs", "magic_links",
          "sessions", "webhook_deliveries", "notifications")


class ByAge(Aged):
    """Rows that are deleted by their age alone."""

    def __init__(self) -> None:
        super().__init__()
        self._chosen: dict[int, tuple] = {}     # user: (own retention, since when it is known)
        self._came: dict[int, float] = {}       # log row: when it was written, perhaps late

    def check(self, step):
        """Each that has gone; then each that should have."""
        self.look(step)
        for id, user in step.after["users"].items():
            if self._chosen.get(id, ((), 0))[0] != user["log_retention_days"]:
                self._chosen[id] = user["log_retention_days"], step.ended
        for table in SIMPLE:
            for id, row in gone(step, table).items():
                if table != "audit_logs" and is_leaving(step, row):
                    continue
                end = limit(table, row, step)
                if end is None and was_tried(step, table, id):
                    end = limit(table, {**row, "status": FINISHED[table][0]}, step)
                if end is None:
                    # with a wrong clock it may come to its end and be old in one tick
                    if not step.skew:
                        yield f"{table} {id} was deleted while it was {row['status']}"
                else:
                    yield from self.too_soon(f"{table} {id} was deleted", end)
            for id, row in step.after[table].items():
                end = limit(table, row, step)
                if (table == "failed_emails" and row["status"] == "failed"
                        and not row["notified_at"]):
                    end += DAY
                if table == "message_logs":
                    end = max(end, self._chosen.get(row["user_id"], (None, 0))[1],
                              self._came.setdefault(id, step.began))
                if (end is not None and is_owed(step, end, LATE) and not is_leaving(step, row)):
                    yield f"{table} {id} is there {(step.ended - end) / HOUR:.1f} h after its limit"


class Headers(Aged):
    """The headers of a message go with its row in the log; those without one, at the next run."""

    def __init__(self) -> None:
        super().__init__()
        self._without: dict[int, float] = {}

    def check(self, step):
        """Each against its log row."""
        self.look(step)
        logs = step.after["message_logs"]
        for id, row in gone(step, "header_snapshots").items():
            if row["message_log_id"] in logs and not is_leaving(step, row):
                end = limit("message_logs", logs[row["message_log_id"]], step)
                if not self.is_over(end):
                    yield f"headers {id} were deleted {end - self.now:.0f} s before their log row"
        there = step.after["header_snapshots"]
        for id, row in there.items():
            if row["message_log_id"] in logs:
                continue
            if row["message_log_id"] in step.before["message_logs"]:
                yield f"headers {id} did not go in the commit that deleted their log row"
            since = self._without.setdefault(id, step.ended)
            if is_owed(step, since, LATE):
                yield f"headers {id} are there {(step.ended - since) / HOUR:.1f} h after their log"


class History(Aged):
    """The history of runs: never one that runs, nor the last ten of a job."""

    def check(self, step):
        """What has gone, by its age and its place."""
        self.look(step)
        deleted = gone(step, "job_runs")
        if not deleted:
            return
        later = Counter()
        runs = {**step.before["job_runs"], **step.after["job_runs"]}
        for id in sorted(runs, reverse=True):
            row = step.before["job_runs"].get(id, runs[id])
            if id in deleted:
                end = seconds(row["started_at"]) + KEEP["job_runs"] * DAY
                if row["status"] == "running":
                    yield f"run {id} of {row['job']} was deleted while it ran"
                elif not self.is_over(end):
                    yield f"run {id} was deleted {end - self.now:.0f} s before its limit"
                elif row["status"] != "skipped" and later[row["job"]] < 10:
                    yield f"run {id} was deleted, one of the last ten of {row['job']}"
            later[row["job"]] += row["status"] != "skipped"


class Archived(Rule):
    """An audit row that has gone is in exactly one archive, as it was."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple] = {}
        self._read: set[str] = set()

    def check(self, step):
        """Archives are read once they are said to be verified."""
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
            if len(rows) != row["row_count"]:
                yield f"{name} has {len(rows)} rows and not {row['row_count']}"
            for found in rows:
                if found["id"] in self._rows:
                    yield f"audit row {found['id']} is in two archives"
                self._rows[found["id"]] = _fact(found)
        for id, row in gone(step, "audit_logs").items():
            if id not in self._rows:
                yield f"audit row {id} was deleted, and no archive has it"
            elif self._rows[id] != _fact(row):
                yield f"audit row {id} is not in its archive as it was"


def _fact(row: dict) -> tuple:
    return tuple(row[name] for name in ("event", "severity", "created_at"))


class Untouched(Rule):
    """Jobs change no column and delete no row of the app but those that are theirs to."""

    def check(self, step):
        """All rows of all tables of the app."""
        for table, columns in CHANGES.items():
            for was, row in changed(step, table):
                touched = {name for name in row if row[name] != was[name]} - columns
                leaving = (was["status"] == "deleted" if table == "users" else
                           "user_id" in was and is_leaving(step, was))
                # an alias on a domain of an account that is deleted
                if touched and not leaving and touched != {"domain_id"}:
                    yield f"{table} {row.get('id')} was changed in {', '.join(sorted(touched))}"
            if table not in JOBS_ADD and new(step, table):
                yield f"{table} has rows that a job wrote: {[*new(step, table)]}"
        for table in FOR_EVER:
            for key, row in gone(step, table).items():
                if not _goes_with_account(step, table, row):
                    yield f"{table} {key} was deleted, and its owner is still there"


def _goes_with_account(step, table: str, row: dict) -> bool:
    if table == "users":
        return row["status"] == "deleted"
    if table != "alias_destinations":
        return is_leaving(step, row)
    ends = (step.before["aliases"].get(row["alias_id"]),
            step.before["destinations"].get(row["destination_id"]))
    return any(end is None or is_leaving(step, end) for end in ends)


RULES = (ByAge, Headers, History, Archived, Untouched)
