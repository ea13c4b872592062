"""The status of domains (docs/domains.md), by what the name servers were asked and answered."""
from __future__ import annotations

from . import DAY, HOUR, Rule, seconds

GRACE, GIVE_UP = 3 * DAY, 30 * DAY
FAILURES = 3
SLACK = 3 * HOUR             # cron may come late


class Domains(Rule):
    """Verified only if its records were right, failed only after three days, and
    looked at as often as its age says."""

    def __init__(self) -> None:
        self.failures: dict[int, list] = {}     # when it was not right, since it last was
        self.looked: dict[int, int] = {}
        self.last_answers: dict[int, str] = {}

    def check(self, step):
        answers = self._answers(step)
        for was, row in step.changed("domains"):
            if row["status"] != was["status"]:
                yield from self._moved(step, was, row)
        for id, how in answers.items() if not step.struck and not step.trouble else ():
            row = step.after["domains"].get(id)
            if row and how == "right" and row["status"] != "verified":
                yield f"domain {id} was found right, and is {row['status']}"
        if step.is_calm:
            for row in step.after["domains"].values():
                yield from self._overdue(step, row)

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
            if how != "right":
                self.failures.setdefault(id, []).append(self.looked[id])
            elif not step.struck or not step.after["domains"].get(id, {}).get("failing_since"):
                self.failures.pop(id, None)     # a check that was killed has changed nothing
        return answers

    def _moved(self, step, was: dict, row: dict):
        id = row["id"]
        # a process that was stopped goes on with the answer that it had
        answer = self.last_answers.get(id)
        if row["status"] == "verified" and answer != "right":
            yield f"domain {id} is verified, and its records are {answer or 'not asked for'}"
        if row["status"] == "failed" and step.right > 4 * DAY:
            if was["status"] == "pending" and step.ended - seconds(row["created_at"]) < GIVE_UP:
                yield f"domain {id} has failed before it was 30 days old"
            elif was["status"] == "verified":
                failures = self.failures.get(id, [])
                lasts = step.ended - min(failures, default=step.ended)
                if len(failures) < FAILURES or lasts < GRACE - HOUR:
                    yield f"domain {id} has failed after {failures}, {lasts / HOUR:.1f} h"
        if was["status"] == "verified" and row["status"] == "pending":
            yield f"domain {id} was verified and is pending again"

    def _overdue(self, step, row: dict):
        """One is looked at each day, of the first week each hour, unless its owner has been told
        that it failed and asks for nothing."""
        asked, made = seconds(row["recheck_requested_at"]), seconds(row["created_at"])
        is_soon = asked is not None or (row["status"] == "pending" and step.ended - made < 7 * DAY)
        since = max(self.looked.get(row["id"], 0), made, asked or 0, step.quiet_since,
                    step.ages.active_since(row) or step.ended, step.clock_right_since)
        if step.ended - since > (HOUR if is_soon else DAY) + SLACK and (
                row["status"] != "failed" or asked is not None):
            yield (f"domain {row['id']}, {row['status']}, was not looked at for "
                   f"{(step.ended - since) / HOUR:.1f} h")


RULES = (Domains,)
