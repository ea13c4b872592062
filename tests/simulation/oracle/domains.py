"""The status of domains (docs/domains.md), by what the name servers were asked and answered."""
from __future__ import annotations

from collections import Counter

from . import DAY, HOUR, changed, is_calm_tick, new, seconds
from .ages import Aged

GRACE, GIVE_UP = 3 * DAY, 30 * DAY
FAILURES = 3
SLACK = 3 * HOUR             # cron may come late
KINDS = {"verified": "domain_verified", "failed": "domain_failed", "warned": "domain_failing"}


class Spell:
    """How a domain has been answering since it last was right: the first and the number of bad
    answers, and when its owner was warned."""

    def __init__(self) -> None:
        self.since, self.failures, self.warned = None, 0, None


class Domains(Aged):
    """Verified only if its records were right, failed only after a warning and three days, each
    change with one notice; looked at as often as its age says."""

    def __init__(self) -> None:
        super().__init__()
        self.spells: dict[int, Spell] = {}
        self.looked: dict[int, int] = {}
        self.last_answers: dict[int, str] = {}

    def check(self, step):
        """Answers, changes, notices, and what should have been looked at."""
        self.look(step)
        answers = self._answers(step)
        events: Counter = Counter()
        for was, row in changed(step, "domains"):
            id = row["id"]
            if row["warned_at"] != was["warned_at"] and row["warned_at"]:
                yield from self._warned(step, row)
                events["warned", row["user_id"]] += 1
            if row["status"] != was["status"]:
                events[row["status"], row["user_id"]] += 1
                # a process that was stopped goes on with the answer that it had
                yield from self._moved(step, was, row, self.last_answers.get(id))
        told = Counter((name, row["user_id"]) for row in new(step, "notifications").values()
                       for name, kind in KINDS.items() if row["kind"] == kind)
        if told != events:
            yield f"changes of domains: {dict(events)}; notices: {dict(told)}"
        if not step.struck and not step.trouble:
            for id, how in answers.items():
                row = step.after["domains"].get(id)
                if row and how == "right" and row["status"] != "verified":
                    yield f"domain {id} was found right, and is {row['status']}"
        yield from self._overdue(step)

    def _answers(self, step) -> dict[int, str]:
        """{id: right, wrong or missing} of those that were looked at in this step."""
        ids = {row["name"]: id for id, row in step.before["domains"].items()}
        found: dict[int, set] = {}
        for entry in step.journal:
            if entry["what"] == "dns" and entry["item"] in ids:
                found.setdefault(ids[entry["item"]], set()).add(entry["outcome"])
                self.looked[ids[entry["item"]]] = entry["at"]
        answers = {id: min(hows, key=("missing", "wrong", "right").index)
                   for id, hows in found.items()}
        self.last_answers.update(answers)
        for id, how in answers.items():
            spell = self.spells.setdefault(id, Spell())
            if how != "right":
                spell.since = self.looked[id] if spell.since is None else spell.since
                spell.failures += 1
            elif not step.struck or not step.after["domains"].get(id, {}).get("failing_since"):
                self.spells[id] = Spell()       # a check that was killed has changed nothing
        return answers

    def _warned(self, step, row: dict):
        id, spell = row["id"], self.spells.get(row["id"], Spell())
        if _is_clock_right(step):
            if spell.since is None or step.ended - spell.since < 6 * HOUR - 600:
                yield f"the owner of domain {id} is warned before it has failed for six hours"
            if spell.warned is not None:
                yield f"the owner of domain {id} is warned again, and it was never right meanwhile"
        spell.warned = int(step.began)
        self.spells[id] = spell

    def _moved(self, step, was: dict, row: dict, answer: str | None):
        id, spell = row["id"], self.spells.get(row["id"], Spell())
        if row["status"] == "verified" and answer != "right":
            yield f"domain {id} is verified, and its records are {answer or 'not asked for'}"
        if row["status"] == "failed" and _is_clock_right(step):
            if was["status"] == "pending" and step.ended - seconds(row["created_at"]) < GIVE_UP:
                yield f"domain {id} has failed before it was 30 days old"
            elif was["status"] == "verified":
                lasts = step.ended - (step.ended if spell.since is None else spell.since)
                if spell.failures < FAILURES or lasts < GRACE - HOUR:
                    yield (f"domain {id} has failed after {spell.failures} failures in "
                           f"{lasts / HOUR:.1f} h")
                if spell.warned is None or step.ended - spell.warned < DAY - HOUR:
                    yield f"domain {id} has failed without a warning a day before"
        if was["status"] == "verified" and row["status"] == "pending":
            yield f"domain {id} was verified and is pending again"

    def _overdue(self, step):
        if not is_calm_tick(step):
            return
        for id, row in step.after["domains"].items():
            age = step.ended - seconds(row["created_at"])
            wait = SLACK if age < DAY else HOUR + SLACK if age < 7 * DAY else DAY + SLACK
            if row["status"] == "verified":
                wait = DAY + SLACK
            if (asked := row["recheck_requested_at"]) and step.ended - seconds(asked) > SLACK:
                wait = SLACK
            elif row["status"] == "failed":
                continue
            since = max(self.looked.get(id, 0), seconds(row["created_at"]),
                        self.active_since(row["user_id"]) or step.ended, step.quiet_since,
                        seconds(asked) if asked else 0, step.clock_right_since)
            if step.ended - since > wait:
                yield (f"domain {id}, {row['status']}, was not looked at for "
                       f"{(step.ended - since) / HOUR:.1f} h")


def _is_clock_right(step) -> bool:
    return step.ended - step.clock_right_since > 4 * DAY


RULES = (Domains,)
