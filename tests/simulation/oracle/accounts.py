"""Accounts that are deleted (docs/deletion.md), and those that wait."""
from __future__ import annotations

from pathlib import PurePosixPath

from . import DAY, HOUR, Rule, changed, gone, is_calm_tick, ran_well, seconds

GRACE = 7 * DAY
UNSENT = 28 * DAY                   # where its notice could not be sent
WITHIN = 600                        # seconds until an account is closed
NOTICE = "account_deletion_scheduled"
# Every column that says whose a row is.
OWNED = ("aliases", "destinations", "domains", "message_logs", "header_snapshots", "failed_emails",
         "overflow_hold", "spam_quarantine", "audit_logs", "magic_links", "sessions", "webhooks",
         "webhook_deliveries", "attempts", "export_requests", "notifications",
         "notification_optouts", "message_stats", "usage_daily", "usage_weekly", "usage_events")
# (table, column, table that it refers to): what goes with a row of the account
PARTS = (("alias_destinations", "alias_id", "aliases"),
         ("alias_destinations", "destination_id", "destinations"),
         ("destination_verifications", "destination_id", "destinations"),
         ("aliases", "domain_id", "domains"), ("failed_emails", "alias_id", "aliases"),
         ("failed_emails", "destination_id", "destinations"),
         ("webhook_deliveries", "webhook_id", "webhooks"),
         ("header_snapshots", "message_log_id", "message_logs"))
# Tables from which nothing of an account that is there is deleted by a job.
STAYS = ("users", "aliases", "domains", "webhooks", "export_requests", "notification_optouts")
QUEUES = ("failed_emails", "webhook_deliveries", "notifications")
SPOOLED = ("failed_emails", "overflow_hold", "spam_quarantine")


class Closed(Rule):
    """A deleted account is closed at the next run, and hears of it once."""

    def __init__(self) -> None:
        self.told: set[tuple] = set()
        # (table, id) of what a run had in hand when its owner was deleted: if it dies, that waits
        self.in_flight: set[tuple] = set()

    def check(self, step):
        """Each account that is deleted, and not gone."""
        users = step.before["users"]
        self.in_flight |= {(table, id) for table in QUEUES for id, row in step.before[table].items()
                           if row["status"] == "sending" and row["user_id"] in users
                           and users[row["user_id"]]["status"] == "deleted"}
        for id, row in step.after["notifications"].items():
            if row["kind"] == NOTICE and id not in step.before["notifications"]:
                user = step.after["users"].get(row["user_id"])
                deletion = (row["user_id"], user and user["deleted_at"])
                if deletion in self.told or not user or user["status"] != "deleted":
                    yield f"user {row['user_id']} is told again of the day of erasure, or in vain"
                self.told.add(deletion)
        if step.trouble or not ran_well(step, "delete_accounts"):
            return
        for id, user in step.after["users"].items():
            if user["status"] == "deleted" and min(
                    step.began - seconds(user["deleted_at"]),
                    step.began - step.quiet_since) > WITHIN:
                for what in _open(step, id, self.in_flight):
                    yield f"user {id} was deleted, and has {what}"
                # by a clock that was ahead, that day was past
                if ((id, user["deleted_at"]) not in self.told
                        and step.clock_right_since < seconds(user["deleted_at"])):
                    yield f"user {id} was not told of the day of erasure"


def _open(step, user: int, in_flight: set):
    # what a request that was under way writes after that waits, and is erased with the rest
    deleted = seconds(step.after["users"][user]["deleted_at"])
    rows = {table: [row for row in step.after[table].values() if row["user_id"] == user
                    and not deleted <= (seconds(row.get("created_at")) or 0) <= step.ended]
            for table in OWNED}
    for table in ("sessions", "magic_links"):
        if rows[table]:
            yield f"{len(rows[table])} {table}"
    theirs = {row["id"] for row in rows["destinations"]}
    if any(row["destination_id"] in theirs
           for row in step.after["destination_verifications"].values()):
        yield "tokens of destinations"
    for table in ("aliases", "webhooks"):
        if any(row["active"] for row in rows[table]):
            yield f"active {table}"
    for table in QUEUES:
        if waiting := [row["id"] for row in rows[table] if row["status"] == "pending"
                       and row.get("kind") != NOTICE and (table, row["id"]) not in in_flight]:
            yield f"{table} that wait: {waiting}"
    if any(row["status"] == "pending" and row["destination_id"] in theirs
           and ("failed_emails", id) not in in_flight
           for id, row in step.after["failed_emails"].items()):
        yield "forwards of others that wait for its destinations"
    if any(row["status"] == "ready" and seconds(row["expires_at"]) > step.ended
           for row in rows["export_requests"]):
        yield "exports that wait or may be downloaded"


class Erased(Rule):
    """Seven days later, or 28 if its notice could not be sent, nothing is left of it, and nothing
    of others is touched."""

    def __init__(self) -> None:
        self.erased: set[int] = set()
        self.parts: dict[str, set] = {}             # ids of the rows that they had
        self.files: dict[str, float] = {}           # of theirs that are to be gone, since when

    def check(self, step):
        """What went, and what should have gone."""
        is_right = step.ended - step.clock_right_since > 8 * DAY
        users = gone(step, "users")
        completed = [row["id"] for was, row in changed(step, "account_deletions")
                     if row["completed_at"] and not was["completed_at"]]
        completed += [id for id, row in step.after["account_deletions"].items()
                      if id not in step.before["account_deletions"] and row["completed_at"]]
        if len(completed) != len(users):
            yield f"users {sorted(users)} went, and the deletions {completed} were completed"
        for id, user in users.items():
            self.erased.add(id)
            if user["status"] != "deleted":
                yield f"user {id} was erased and is {user['status']}"
            elif is_right and step.ended - seconds(user["deleted_at"]) < GRACE:
                yield f"user {id} was erased before the 7 days were over"
        yield from self._others(step)
        self._note(step)
        if is_calm_tick(step):
            for id, user in step.after["users"].items():
                if user["status"] == "deleted" and is_right and min(
                        step.began - seconds(user["deleted_at"]) - _grace(step, id),
                        step.began - step.quiet_since) > HOUR:
                    yield f"user {id} was deleted 7 days ago and is not erased"
        yield from self._left(step)

    def _others(self, step):
        """Rows of those who have not deleted their account."""
        users = step.after["users"]
        for table in STAYS[1:]:
            for key, row in gone(step, table).items():
                if users.get(row["user_id"], {}).get("status") in ("active", "suspended"):
                    yield f"{table} {key} of user {row['user_id']} was deleted"
        for was, row in changed(step, "aliases"):
            status = users.get(row["user_id"], {}).get("status")
            ends = seconds(row["expires_at"])
            if was["active"] and not row["active"] and status != "deleted" and (
                    ends is None or ends > step.ended + 400 * DAY):
                yield f"alias {row['id']} of user {row['user_id']} was switched off"

    def _note(self, step) -> None:
        """Which rows are parts of an account that is going, and which files went with it."""
        users = step.after["users"]
        for table in {parent for _, _, parent in PARTS}:
            for id, row in gone(step, table).items():
                user = users.get(row["user_id"], {})
                # before that, what goes is past its own retention
                if row["user_id"] in self.erased or (user.get("status") == "deleted" and (
                        step.ended - seconds(user["deleted_at"]) >= GRACE)):
                    self.parts.setdefault(table, set()).add(id)
        named = {row["raw_path"] for table in SPOOLED for row in step.after[table].values()}
        for table in SPOOLED:
            for row in gone(step, table).values():
                if users.get(row["user_id"], {"status": "deleted"})["status"] == "deleted":
                    self.files.setdefault(row["raw_path"], step.ended)
        self.files = {path: since for path, since in self.files.items()
                      if path not in named and str(PurePosixPath(path)) in step.files["spool"]}

    def _left(self, step):
        for table in OWNED:
            for key, row in step.after[table].items():
                if row["user_id"] in self.erased:
                    yield f"{table} {key} is left of user {row['user_id']}"
        for table, column, parent in PARTS:
            parts = self.parts.get(parent, ())
            for key, row in step.after[table].items():
                if row[column] in parts:
                    yield f"{table} {key} refers to {parent} {row[column]}, which was erased"
        for path, since in self.files.items():
            if not step.struck and not step.trouble and (
                    step.quiet_since < since - HOUR or step.ended - step.quiet_since > 26 * HOUR):
                yield f"{path} is left in the spool of an account that was erased"


def _grace(step, user: int) -> int:
    sent = any(row["user_id"] == user and row["kind"] == NOTICE and row["status"] == "sent"
               for row in step.after["notifications"].values())
    return GRACE if sent else UNSENT


class Suspended(Rule):
    """The mail, the notices and the deliveries of a suspended account wait."""

    def check(self, step):
        """What was sent of those who were suspended all the time."""
        for entry in step.journal:
            name, _, id = entry.get("item", "").partition("-")
            table = {"forward": "failed_emails", "notice": "notifications",
                     "webhook": "webhook_deliveries"}.get(name)
            row = step.before[table].get(int(id)) if table else None
            if row and all(users.get(row["user_id"], {}).get("status") == "suspended"
                           for users in (step.before["users"], step.after["users"])):
                yield f"{entry['item']} was sent, and its owner is suspended"


RULES = (Closed, Erased, Suspended)
