"""Deliveries and endpoints (docs/webhooks.md, docs/guarantees.md)."""
from __future__ import annotations

from collections import Counter

from . import DAY, HOUR, Rule, is_good, seconds

DELAYS = (60, 300, 1800, 7200)      # after each attempt
RETRY_AFTER = 5400                  # what a busy endpoint asks for (outside.py)
FAILING = 5 * DAY                   # how long an endpoint may fail
GIVE_UP = 7 * DAY
WHY = ("cancelled: the endpoint is disabled", "cancelled: the endpoint was disabled",
       "cancelled: the endpoint is missing", "cancelled: the account is deleted",
       "cancelled: the account is missing", "cancelled: its owner or endpoint is missing",
       "the endpoint answered 410")
SLACK = 2 * HOUR


class Deliveries(Rule):
    """Each is delivered, or has visibly failed: with its attempts used up, or for a reason. No
    attempt before its time; none much after it, when all is quiet."""

    def __init__(self) -> None:
        self.accepted: set[int] = set()
        self.last: dict[int, int] = {}          # when a delivery was last sent
        self.not_before: dict[str, int] = {}    # until when an endpoint has asked to wait

    def check(self, step):
        rows, before = step.after["webhook_deliveries"], step.before["webhook_deliveries"]
        for entry, _, id in step.sent("webhook"):
            row = before.get(id) or rows.get(id)
            if row and entry["id"] != row["event_id"]:
                yield f"delivery {id} was sent as {entry['id']}, and its event is {row['event_id']}"
            if is_good(entry):
                self.accepted.add(id)
            if id in before:
                yield from self._early(step, before[id], entry)
            self.last[id] = entry["at"]
            # of a process that was struck nobody may have heard the answer
            if entry["status"] == 429 and not step.struck:
                self.not_before[entry["url"]] = entry["at"] + RETRY_AFTER
        for was, row in step.changed("webhook_deliveries"):
            if (row["status"] == "pending" and was["status"] in ("delivered", "failed")
                    and step.words[:2] != ("replay", "webhook")):
                yield f"delivery {row['id']} was {was['status']} and is pending again"
            elif row["status"] != was["status"]:
                yield from self._ended(step, row)
        if step.is_calm and step.quiet >= 12 * HOUR:
            for row in rows.values():
                if row["status"] == "pending":
                    yield from self._late(step, row)

    def _early(self, step, row: dict, entry: dict):
        id, at, url = row["id"], entry["at"], entry["url"]
        last = self.last.pop(id, None)
        if step.right > DAY:
            last = seconds(row["last_attempt_at"]) if last is None else last
            wait = DELAYS[min(row["attempts"], len(DELAYS)) - 1] if row["attempts"] else 0
            if (last is not None and row["status"] == "pending" and not row["uncertain"]
                    and at < last + wait - 1):
                yield f"delivery {id} was sent {last + wait - at} s before its time"
            if at < self.not_before.get(url, 0) - 1:
                yield f"{url} asked to wait for {self.not_before[url] - at} s more"
        if not any(hooks.get(row["webhook_id"], {}).get("active")
                   for hooks in (step.before["webhooks"], step.after["webhooks"])):
            yield f"delivery {id} was sent to endpoint {row['webhook_id']}, which is disabled"

    def _ended(self, step, row: dict):
        id, error = row["id"], str(row["last_error"])
        if row["status"] == "delivered" and id not in self.accepted:
            yield f"delivery {id} is marked as delivered, and no endpoint has taken it"
        age = step.ended + step.skew - seconds(row["created_at"])
        if (row["status"] == "failed" and row["attempts"] <= len(DELAYS) and age < GIVE_UP
                and not error.startswith(WHY)):
            yield f"delivery {id} has failed after {row['attempts']} attempts: {error}"

    def _late(self, step, row: dict):
        due = seconds(row["next_attempt_at"])
        if due is None:
            due = seconds(row["last_attempt_at"] or row["created_at"])
            due += DELAYS[row["attempts"] - 1] if row["attempts"] else 0
        # what has waited with its owner is due when that is over
        due = max(due, step.ages.active_since(row))
        hook = step.after["webhooks"].get(row["webhook_id"])
        # an endpoint that fails has a few of its deliveries tried in each run
        if (step.ended - due > SLACK and not (hook and hook["failing_since"])
                and step.status(row) in ("active", "")):
            yield f"delivery {row['id']} has been due for {(step.ended - due) / HOUR:.1f} h"


class Endpoints(Rule):
    """One is disabled after five days of failures alone, or by a 410; its owner is told once."""

    def __init__(self) -> None:
        self.since: dict[int, int] = {}         # the first failure after the last success
        # that answered 410 to a process which may have been stopped before it could store that
        self.gone: set[int] = set()

    def check(self, step):
        rows, failed, was_gone = step.before["webhook_deliveries"], {}, set()
        for entry, _, id in step.sent("webhook"):
            hook = rows[id]["webhook_id"] if id in rows else None
            if hook is None:
                continue
            if is_good(entry):
                if step.after["webhook_deliveries"].get(id, {}).get("status") == "delivered":
                    self.since.pop(hook, None)
                    self.gone.discard(hook)
            else:
                failed[hook] = entry["at"] - self.since.setdefault(hook, entry["at"])
                was_gone.update([hook] if entry["status"] == 410 else [])
        self.gone |= was_gone
        disabled, hooks = Counter(), step.after["webhooks"]
        for was, row in step.changed("webhooks"):
            if was["active"] and not row["active"] and row["disabled_reason"] != (
                    "the account is deleted"):
                disabled[row["user_id"]] += 1
                lasts = failed.get(row["id"], 0)
                # a clock that has been wrong for an hour is taken for right
                if row["id"] not in self.gone and lasts < FAILING - 60 and not step.skew:
                    yield (f"endpoint {row['id']} was disabled after {lasts / DAY:.2f} days: "
                           f"{row['disabled_reason']}")
        for id in [*self.since]:
            if not hooks.get(id, {}).get("active"):
                del self.since[id]
        told = step.notified("webhook_disabled")
        if told != disabled:
            yield f"endpoints disabled by owner: {dict(disabled)}; notices: {dict(told)}"
        if (not step.struck and step.is_calm and step.quiet >= HOUR and step.right >= 8 * DAY
                and not step.is_held("retry_webhooks")):
            for id, hook in hooks.items():
                if hook["active"] and (id in was_gone or failed.get(id, 0) > 2 * FAILING):
                    yield f"endpoint {id} is gone, or has failed for 10 days, and is not disabled"


RULES = (Deliveries, Endpoints)
