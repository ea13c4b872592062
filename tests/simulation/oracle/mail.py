"""Forwards, notices and the limits of the relay (docs/mail.md, docs/guarantees.md)."""
from __future__ import annotations

from collections import Counter

from . import DAY, HOUR, QUEUES, Rule, is_good, seconds

DELAYS = {"forward": (HOUR, 6 * HOUR, 24 * HOUR, 48 * HOUR),
          "notice": (0, 300, 900, HOUR, 4 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR)}
JOBS = {"forward": "retry_forwards", "notice": "send_notifications", "webhook": "retry_webhooks"}
TABLES = {name: QUEUES[name] for name in DELAYS}
TOGETHER = {"webhook": 8}        # requests that are open at once; of messages it is one
PER_HOUR = 30
SLACK = 2 * HOUR             # between what is due and its attempt, when all is quiet


class Copies(Rule):
    """Each message reaches the relay once, each delivery its endpoint; a second time only if a
    process was struck, or the connection broke, while it was on its way."""

    def __init__(self) -> None:
        self.accepted: Counter = Counter()
        self.allowed: Counter = Counter()
        self.digests: dict[tuple, str] = {}     # by whom it is for: one may refuse it

    def check(self, step):
        for item in _replayed(step, QUEUES):
            self.allowed[item] += 1
            self.digests = {key: each for key, each in self.digests.items() if key[0] != item}
        for entry, *_ in step.sent():
            item, outcome = entry["item"], entry.get("outcome")
            if outcome in ("relay", "at MAIL", "lost"):                # nothing of it was sent
                continue
            digest = entry["id"] if outcome is None else entry["digest"]
            if self.digests.setdefault((item, entry.get("to")), digest) != digest:
                yield f"{item} was sent with other bytes than at its attempt before"
            if not is_good(entry):
                continue
            if self.accepted[item] > self.allowed[item]:
                yield (f"{item} was handed over {self.accepted[item] + 1} times, of which "
                       f"{self.allowed[item]} are excused")
            self.accepted[item] += 1
            self.allowed[item] += outcome == "uncertain"
        in_the_air: list[str] = []
        for name, table in QUEUES.items():
            for id, row in step.after[table].items():
                seen = step.before[table].get(id) or {"status": "", "uncertain": 0}
                lost = row["uncertain"] == 1 > seen["uncertain"] and seen["status"] != "sending"
                lost = lost and "killed" in row["last_error"]   # and found by a worker's next run
                if lost or (row["status"] == "sending" and row != seen):
                    in_the_air.append(f"{name}-{id}")
                elif row["status"] == "sending" and step.ran_well(JOBS[name]):
                    yield f"{name}-{id} is still marked as being sent after a whole run"
        if step.struck or step.trouble:
            self.allowed.update(in_the_air)
            most = max(TOGETHER.get(item.partition("-")[0], 1) for item in in_the_air or [""])
            if len(in_the_air) > most * max(1, len(step.struck)):
                yield f"{len(in_the_air)} items are in the air after one strike: {in_the_air}"


class NothingIsLost(Rule):
    """A forward is delivered, or its owner is notified, or nobody waits for it any more."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()

    def check(self, step):
        self.accepted.update(entry["item"] for entry, *_ in step.sent() if is_good(entry))
        for id, row in step.gone("failed_emails").items():
            if row["status"] not in ("sent", "failed") and not step.is_leaving(row):
                yield f"forward-{id} was deleted while it was {row['status']}"
        for id, row in step.after["failed_emails"].items():
            if row["status"] == "sent" and f"forward-{id}" not in self.accepted:
                yield f"forward-{id} is marked as sent and no copy of it reached the relay"
            if (row["status"] == "failed" and not (row["notified_at"] or row["notice_id"])
                    and step.status(row) == "active"
                    and not str(row["last_error"]).startswith("cancelled")
                    # one notice a day for each destination
                    and step.is_calm and step.quiet > 3 * HOUR
                    and step.ended - seconds(row["finished_at"]) - DAY > SLACK):
                yield f"forward-{id} has failed and its owner was not notified"


class GivenUp(Rule):
    """Nothing fails but by all its attempts, by its age, or since its recipient has refused it
    twice for good while others were accepted."""

    def __init__(self) -> None:
        self.tried: Counter = Counter()         # that were refused, or nobody knows what came of
        self.finals: dict[str, list] = {}       # when an item was refused for good
        self.accepted: dict[str, int] = {}      # when a recipient was last sent something

    def check(self, step):
        again = _replayed(step, TABLES)
        # as new: it may have been put into the queue again by hand
        again += [f"{name}-{id}" for name, table in TABLES.items()
                  for id, row in step.before[table].items()
                  if row["status"] == "pending" and not row["attempts"]]
        for item in again:
            self.tried[item] = 0
            self.finals.pop(item, None)
        for entry, *_ in step.sent(*TABLES):
            outcome = entry["outcome"]
            self.tried[entry["item"]] += outcome in ("retry", "uncertain", "final")
            if outcome == "final":
                self.finals.setdefault(entry["item"], []).append(entry["at"])
            elif outcome == "sent":
                self.accepted[entry["to"]] = entry["at"]
        for name, table in TABLES.items():
            for id, row in step.after[table].items():
                item, was = f"{name}-{id}", step.before[table].get(id)
                self.tried[item] += row["status"] == "sending" and row != was
                if (row["status"] == "failed" and was and was["status"] != "failed"
                        and not str(row["last_error"]).startswith("cancelled")
                        and self.tried[item] < len(DELAYS[name])
                        and step.ended + step.skew - seconds(row["created_at"]) < 7 * DAY
                        and not self._is_refused(item, row)):
                    yield f"{item} failed after {self.tried[item]} attempts: {row['last_error']}"

    def _is_refused(self, item: str, row: dict) -> bool:
        first, *more = self.finals.get(item, (0,))
        to = row.get("envelope_to") or row.get("to_email")
        return bool(more) and any(at >= first for other, at in self.accepted.items() if other != to)


class InTime(Rule):
    """No attempt before its time; none much after it, when all is quiet."""

    def check(self, step):
        for entry, name, id in step.sent(*TABLES):
            row = step.before[QUEUES[name]].get(id)     # None: it was queued in this very tick
            if row is None or entry["outcome"] in ("relay", "at MAIL", "lost"):
                continue
            due = seconds(row["next_attempt_at"])
            if due is None:
                due = seconds(row["created_at"]) + DELAYS[name][0]
            # a clock that is set back, or was ahead, costs an attempt (docs/guarantees.md)
            if (entry["at"] < due - 1 and row["status"] == "pending" and not row["uncertain"]
                    and step.right > 3 * DAY):
                yield f"{entry['item']} was sent {due - entry['at']} s before its time"
        for name, table in TABLES.items():
            # else it says itself what it waits for, such as the limit of the hour
            if not (step.is_calm and step.quiet > 12 * HOUR and step.ran_well(JOBS[name])):
                continue
            for id, row in step.after[table].items():
                due = seconds(row["next_attempt_at"] or row["created_at"])
                if row["next_attempt_at"] is None:
                    due += DELAYS[name][0]
                if (row["status"] == "pending" and step.ended - due > SLACK
                        and step.status(row) in ("active", "")):
                    yield (f"{name}-{id} has been due for {(step.ended - due) / HOUR:.1f} h, and "
                           f"nothing has gone wrong for {step.quiet / HOUR:.1f} h")


class Limits(Rule):
    """In no hour more recipients than the limit; alerts to the operator go whatever it says."""

    def __init__(self) -> None:
        self.sent: list[float] = []     # when, by the host's clock, which may have jumped since

    def check(self, step):
        for entry, *_ in step.sent(*TABLES):
            if not is_good(entry):
                continue
            now = entry["at"] + step.skew
            self.sent = [at for at in (*self.sent, now) if abs(now - at) < HOUR]
            if len(self.sent) > PER_HOUR:
                yield f"{len(self.sent)} messages within an hour, and the limit is {PER_HOUR}"


def _replayed(step, queues: dict) -> list[str]:
    """What was put back, with all its attempts: by the operator, or a warning for another address
    of its owner, since it was refused."""
    return [f"{name}-{id}" for name, table in queues.items()
            for id, row in step.after[table].items() if row["status"] == "pending"
            and step.before[table].get(id, row)["status"] in ("failed", "delivered")
            and (step.words[:1] == ("replay",) or name == "notice")]


RULES = (Copies, NothingIsLost, GivenUp, InTime, Limits)
