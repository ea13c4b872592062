"""Deliveries and endpoints (docs/webhooks.md, docs/guarantees.md)."""
from __future__ import annotations

from collections import Counter

from . import DAY, HOUR, Rule, changed, gone, is_calm_tick, is_held, new, seconds, was_tried
from .ages import Aged
from .mail import is_good

DELAYS = (60, 300, 1800, 7200)      # after each attempt
RETRY_AFTER = 5400                  # what a busy endpoint asks for (outside.py)
FAILING, WARNED = 5 * DAY, 3 * DAY  # how long an endpoint may fail, and when its owner is warned
GIVE_UP = 7 * DAY
WHY = ("cancelled: the endpoint is disabled", "cancelled: the endpoint was disabled",
       "cancelled: the endpoint is missing", "cancelled: the account is deleted",
       "cancelled: the account is missing", "cancelled: its owner or endpoint is missing",
       "the endpoint answered 410")
SLACK = 2 * HOUR


def requests(step) -> list[tuple[int, dict]]:
    """(id of the delivery, entry) of what reached an endpoint, or should have."""
    return [(int(entry["item"][8:]), entry) for entry in step.journal
            if entry["what"] == "request" and entry["item"].startswith("webhook-")]


class Deliveries(Rule):
    """Each is delivered, or has visibly failed: with its attempts used up, or for a reason."""

    def __init__(self) -> None:
        self.accepted: set[int] = set()

    def check(self, step):
        """What was sent, then what is final, then what should be."""
        rows, before = step.after["webhook_deliveries"], step.before["webhook_deliveries"]
        for id, entry in requests(step):
            row = rows.get(id) or before.get(id)
            if row and entry["id"] != row["event_id"]:
                yield f"delivery {id} was sent as {entry['id']}, and its event is {row['event_id']}"
            if is_good(entry):
                self.accepted.add(id)
        for was, row in changed(step, "webhook_deliveries"):
            if (row["status"] == "pending" and was["status"] in ("delivered", "failed")
                    and step.words[:2] != ("replay", "webhook")):
                yield f"delivery {row['id']} was {was['status']} and is pending again"
            elif row["status"] != was["status"]:
                yield from self._ended(step, row)
        for id, row in gone(step, "webhook_deliveries").items():
            owner = step.after["users"].get(row["user_id"])
            # with a wrong clock it may come to its end and be old in one tick
            if (row["status"] in ("pending", "sending") and owner and owner["status"] != "deleted"
                    and not step.skew and not was_tried(step, "webhook_deliveries", id)):
                yield f"delivery {id} was deleted while it was {row['status']}"

    def _ended(self, step, row: dict):
        id, error = row["id"], str(row["last_error"])
        if row["status"] == "delivered" and id not in self.accepted:
            yield f"delivery {id} is marked as delivered, and no endpoint has taken it"
        age = step.ended + step.skew - seconds(row["created_at"])
        if (row["status"] == "failed" and row["attempts"] <= len(DELAYS) and age < GIVE_UP
                and not error.startswith(WHY)):
            yield f"delivery {id} has failed after {row['attempts']} attempts: {error}"


class DeliveryTimes(Aged):
    """No attempt before its time; none much after it, when all is quiet."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[int, int] = {}          # when a delivery was last sent
        self.not_before: dict[str, int] = {}    # until when an endpoint has asked to wait

    def check(self, step):
        """What was sent; then what should have been."""
        self.look(step)
        before = step.before["webhook_deliveries"]
        is_right = step.ended - step.clock_right_since > DAY
        for id, entry in requests(step):
            at, url = entry["at"], entry["url"]
            row = before.get(id)
            last = self.last.pop(id, None)
            if row and is_right:
                last = seconds(row["last_attempt_at"]) if last is None else last
                wait = DELAYS[min(row["attempts"], len(DELAYS)) - 1] if row["attempts"] else 0
                if (last is not None and row["status"] == "pending" and not row["uncertain"]
                        and at < last + wait - 1):
                    yield f"delivery {id} was sent {last + wait - at} s before its time"
                if at < self.not_before.get(url, 0) - 1:
                    yield f"{url} asked to wait for {self.not_before[url] - at} s more"
            if row and not any(hooks.get(row["webhook_id"], {}).get("active")
                               for hooks in (step.before["webhooks"], step.after["webhooks"])):
                yield f"delivery {id} was sent to endpoint {row['webhook_id']}, which is disabled"
            self.last[id] = at
            # of a process that was struck nobody may have heard the answer
            if entry["status"] == 429 and not step.struck:
                self.not_before[url] = at + RETRY_AFTER
        if not is_calm_tick(step) or step.ended - step.quiet_since < 12 * HOUR:
            return
        for id, row in step.after["webhook_deliveries"].items():
            owner = step.after["users"].get(row["user_id"])
            if row["status"] != "pending":
                continue
            due = seconds(row["next_attempt_at"])
            if due is None:
                wait = DELAYS[row["attempts"] - 1] if row["attempts"] else 0
                due = seconds(row["last_attempt_at"] or row["created_at"]) + wait
            # what has waited with its owner is due when that is over
            due = max(due, self.active_since(row["user_id"]))
            hook = step.after["webhooks"].get(row["webhook_id"])
            # an endpoint that fails has a few of its deliveries tried in each run
            if (step.ended - due > SLACK and not (hook and hook["failing_since"])
                    and not (owner and owner["status"] != "active")):
                yield f"delivery {id} has been due for {(step.ended - due) / HOUR:.1f} h"


class Endpoints(Rule):
    """One is disabled after five days of failures without a success, or by a 410; its owner is
    warned once before, and notified once."""

    def __init__(self) -> None:
        self.since: dict[int, int] = {}         # the first failure after the last success
        self.warned: set[int] = set()
        # that answered 410 to a process which may have been stopped before it could store that
        self.gone: set[int] = set()

    def check(self, step):
        """What the answers were; then what became of the endpoints."""
        rows, ends, was_gone, failed = step.before["webhook_deliveries"], {}, set(), set()
        for id, entry in requests(step):
            hook = rows[id]["webhook_id"] if id in rows else None
            if hook is None:
                continue
            if is_good(entry):
                if step.after["webhook_deliveries"].get(id, {}).get("status") == "delivered":
                    self.since.pop(hook, None)
                    self.warned.discard(hook)
                    self.gone.discard(hook)
            else:
                self.since.setdefault(hook, entry["at"])
                ends[hook] = entry["at"] - self.since[hook]
                was_gone.update([hook] if entry["status"] == 410 else [])
                self.gone.update(was_gone)
                failed.add(hook)
        disabled, notices = Counter(), new(step, "notifications").values()
        for was, row in changed(step, "webhooks"):
            if was["active"] and not row["active"] and row["disabled_reason"] != (
                    "the account is deleted"):
                disabled[row["user_id"]] += 1
                # a clock that has been wrong for an hour is taken for right
                if (row["id"] not in self.gone and ends.get(row["id"], 0) < FAILING - 60
                        and not step.skew):
                    yield (f"endpoint {row['id']} was disabled after "
                           f"{ends.get(row['id'], 0) / DAY:.2f} days: {row['disabled_reason']}")
        hooks = step.after["webhooks"]
        for id in [id for id in self.since if id not in hooks or not hooks[id]["active"]]:
            del self.since[id]
            self.warned.discard(id)
        told = Counter(row["user_id"] for row in notices if row["kind"] == "webhook_disabled")
        if told != disabled:
            yield f"endpoints disabled by owner: {dict(disabled)}; notices: {dict(told)}"
        yield from self._warnings(step, notices, ends, failed)
        if not step.struck and is_calm_tick(step):
            yield from self._still_there(step, hooks, ends, was_gone)

    def _warnings(self, step, notices, ends: dict, failed: set):
        """At most one for each time that an endpoint fails, and never early."""
        for row in notices:
            if row["kind"] != "webhook_failing":
                continue
            hooks = [id for id in failed if step.before["webhooks"].get(id, {}).get("user_id")
                     == row["user_id"] and ends[id] >= WARNED - 60 and id not in self.warned]
            if not hooks and step.ended - step.clock_right_since > 8 * DAY:
                yield f"user {row['user_id']} is warned of an endpoint without need, or again"
            self.warned.update(hooks[:1])

    def _still_there(self, step, hooks: dict, ends: dict, was_gone: set):
        """What should be disabled by now; and what waits for an endpoint that is."""
        if (step.ended - step.quiet_since < HOUR or step.ended - step.clock_right_since < 8 * DAY
                or is_held(step, "retry_webhooks")):
            return
        for id, hook in hooks.items():
            if hook["active"] and (id in was_gone or ends.get(id, 0) > 2 * FAILING):
                yield f"endpoint {id} is gone, or has failed for 10 days, and is not disabled"
        for id, row in step.after["webhook_deliveries"].items():
            hook = hooks.get(row["webhook_id"])
            owner = step.after["users"].get(row["user_id"])
            if (row["status"] == "pending" and not (hook and hook["active"]) and owner
                    and owner["status"] == "active"
                    and step.began - (seconds(row["next_attempt_at"] or row["created_at"]) or 0)
                    > 3 * HOUR):
                yield f"delivery {id} waits for an endpoint that is disabled or gone"


RULES = (Deliveries, DeliveryTimes, Endpoints)
