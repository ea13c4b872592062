"""Accounts that are deleted (docs/accounts.md), and those that wait."""
from __future__ import annotations

from . import DAY, HOUR, QUEUES, Rule, seconds
from .retention import SPOOLED

GRACE = 7 * DAY
UNSENT = 28 * DAY                   # where its notice could not be sent
WITHIN = 600                        # seconds until an account is closed
NOTICE = "account_deletion_scheduled"
# Every column that says whose a row is.
OWNED = ("aliases", "destinations", "domains", "message_logs", "header_snapshots", "failed_emails",
         "overflow_hold", "spam_quarantine", "audit_logs", "magic_links", "sessions", "webhooks",
         "webhook_deliveries", "attempts", "export_requests", "notifications",
         "notification_optouts", "message_stats", "usage_daily", "usage_weekly", "usage_events")


class Closed(Rule):
    """A deleted account is closed at the next run, and hears of it once."""

    def __init__(self) -> None:
        self.told: set[tuple] = set()
        # (table, id) of what a run had in hand when its owner was deleted: if it dies, that waits
        self.in_flight: set[tuple] = set()

    def check(self, step):
        before, users = step.before["users"], step.after["users"]
        self.in_flight |= {(table, id) for table in QUEUES.values()
                           for id, row in step.before[table].items() if row["status"] == "sending"
                           and before.get(row["user_id"], {}).get("status") == "deleted"}
        for user in step.notified(NOTICE).elements():
            deletion = (user, users.get(user, {}).get("deleted_at"))
            if deletion in self.told or users.get(user, {}).get("status") != "deleted":
                yield f"user {user} is told again of the day of erasure, or in vain"
            self.told.add(deletion)
        if step.trouble or not step.ran_well("delete_accounts"):
            return
        for id, user in users.items():
            if user["status"] == "deleted" and step.began - max(
                    seconds(user["deleted_at"]), step.quiet_since) > WITHIN:
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
    theirs = {row["id"] for row in rows["destinations"]}
    tokens = [row["id"] for row in step.after["destination_verifications"].values()
              if row["destination_id"] in theirs]
    goals = [row["id"] for row in step.after["failed_emails"].values()
             if row["destination_id"] in theirs and row["status"] == "pending"
             and ("failed_emails", row["id"]) not in in_flight]
    waiting = [(table, row["id"]) for table in QUEUES.values() for row in rows[table]
               if row["status"] == "pending" and row.get("kind") != NOTICE]
    active = [(table, row["id"]) for table in ("aliases", "webhooks") for row in rows[table]
              if row["active"]]
    ready = [row["id"] for row in rows["export_requests"] if row["status"] == "ready"
             and seconds(row["expires_at"]) > step.ended]
    for what, found in {
            "sessions or links": rows["sessions"] + rows["magic_links"],
            "tokens of destinations": tokens, "what is active": active,
            "what waits": {*waiting} - in_flight,
            "forwards of others that wait for its destinations": goals,
            "exports that may be downloaded": ready}.items():
        if found:
            yield f"{what}: {found}"


class Erased(Rule):
    """Seven days later, or 28 if its notice could not be sent, nothing is left of it."""

    def __init__(self) -> None:
        self.erased: set[int] = set()
        self.files: dict[str, float] = {}           # of theirs that are to be gone, since when

    def check(self, step):
        is_right, users = step.right > 8 * DAY, step.gone("users")
        completed = [id for id, row in step.after["account_deletions"].items()
                     if row["completed_at"] and not step.before["account_deletions"].get(
                         id, {}).get("completed_at")]
        if len(completed) != len(users):
            yield f"users {sorted(users)} went, and the deletions {completed} were completed"
        for id, user in users.items():
            self.erased.add(id)
            if user["status"] != "deleted":
                yield f"user {id} was erased and is {user['status']}"
            elif is_right and step.ended - seconds(user["deleted_at"]) < GRACE:
                yield f"user {id} was erased before the 7 days were over"
        self._note(step)
        told = {row["user_id"] for row in step.after["notifications"].values()
                if row["kind"] == NOTICE and row["status"] == "sent"}
        for id, user in step.after["users"].items() if step.is_calm and is_right else ():
            grace = GRACE if id in told else UNSENT
            if user["status"] == "deleted" and step.began - max(
                    seconds(user["deleted_at"]) + grace, step.quiet_since) > HOUR:
                yield f"user {id} was deleted 7 days ago and is not erased"
        for table in OWNED:
            for key, row in step.after[table].items():
                if row["user_id"] in self.erased:
                    yield f"{table} {key} is left of user {row['user_id']}"
        for path, since in self.files.items():
            if not step.struck and not step.trouble and (
                    step.quiet_since < since - HOUR or step.quiet > 26 * HOUR):
                yield f"{path} is left in the spool of an account that was erased"

    def _note(self, step) -> None:
        """Which files went with an account that is going."""
        for table in SPOOLED:
            for row in step.gone(table).values():
                if step.status(row) in ("deleted", ""):
                    self.files.setdefault(row["raw_path"], step.ended)
        named = {row["raw_path"] for table in SPOOLED for row in step.after[table].values()}
        self.files = {path: since for path, since in self.files.items()
                      if path not in named and path in step.files["spool"]}


class Suspended(Rule):
    """The mail, the notices and the deliveries of a suspended account wait."""

    def check(self, step):
        for entry, name, id in step.sent():
            row = step.before[QUEUES[name]].get(id)
            # all the time
            if row and step.status(row) == "suspended" == step.before["users"].get(
                    row["user_id"], {}).get("status"):
                yield f"{entry['item']} was sent, and its owner is suspended"


RULES = (Closed, Erased, Suspended)
