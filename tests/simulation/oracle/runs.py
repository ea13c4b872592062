"""Runs, the operator's commands, and alerts (docs/cron.md, docs/operate.md, docs/monitoring.md)."""
from __future__ import annotations

from collections import Counter

from . import DAY, HOUR, Rule, seconds

# How often each job is due at least.
OFTEN = ("retry_forwards", "send_notifications", "delete_accounts", "retry_webhooks",
         "check_domains", "export_accounts", "check_jobs", "check_usage_thresholds",
         "expire_aliases", "expire_overflow_hold", "rollup_usage")
DAILY = ("archive_audit_logs", "expire_destination_verifications", "purge_failed_emails",
         "purge_header_snapshots", "purge_job_history", "purge_magic_links", "purge_message_logs",
         "purge_notifications", "purge_sessions", "purge_spam_quarantine",
         "purge_webhook_deliveries")
JOBS = OFTEN + DAILY
EVERY = {**dict.fromkeys(OFTEN, 3 * HOUR), **dict.fromkeys(DAILY, DAY + 3 * HOUR)}
CODES = (0, 1, 124, 143)
# What ends with 1 when it has found something.
MAY_FIND = ("status", "doctor", "replay", "migrate", "check_jobs")
OPERATOR = "operator@ops.test"
REMIND = 24 * HOUR
# An incident is over when it was not found for half an hour. One may be found for a moment: the
# domains of an account are due at once when it is active again.
LASTS = 4 * HOUR
# Incidents that others cause, and that may last: no endpoint works.
OF_OTHERS = "attempts succeeded in the last 24 hours"
WAITS = "waiting:webhooks"      # as long as an endpoint fails, what it is to get may wait


class Runs(Rule):
    """Each slot is started at most once, no run stays behind, and every job is run in time."""

    def __init__(self) -> None:
        self.started: dict[str, int] = {}

    def check(self, step):
        rows, fresh = step.after["job_runs"], step.new("job_runs")
        slots = Counter((row["job"], str(row["slot"])) for row in rows.values() if row["slot"])
        for (job, slot), number in slots.items():
            if number > 1:
                yield f"{job} was started {number} times for {slot}"
        for was, row in step.changed("job_runs"):
            if was["status"] != "running" and was["status"] != row["status"]:
                yield f"run {row['id']} of {row['job']} was {was['status']}, is {row['status']}"
        quiet = step.began - step.quiet_since
        later = {row["job"] for row in fresh.values()}
        for id, row in rows.items():
            if (row["status"] == "running" and not step.struck and quiet > 0
                    and (id in fresh or row["job"] in later)):
                yield f"run {id} of {row['job']} is running, and its process has ended"
        for row in fresh.values():
            self.started[row["job"]] = int(step.ended)
            if row["status"] in ("failed", "timeout") and quiet > HOUR and not step.trouble:
                yield f"{row['job']} has {row['status']}: {row['error']}"
        for job, often in EVERY.items() if step.is_calm else ():
            since = max(self.started.get(job, 0), step.quiet_since, step.clock_right_since)
            if step.ended - since > often:
                yield f"{job} has not run for {(step.ended - since) / HOUR:.1f} h"


class Commands(Rule):
    """Each command ends as docs/operate.md says."""

    def check(self, step):
        typed, wrong = " ".join(step.words), "Traceback" in step.printed
        if wrong or (step.code >= 0 and step.code not in CODES):
            yield f"{typed} ended with {step.code}: {step.printed}"
        if step.code == 0 and (failed := [row["job"] for row in step.new("job_runs").values()
                                          if row["status"] in ("failed", "timeout")
                                          and row["trigger_type"] in ("scheduled", "manual")]):
            yield f"{typed} ended with 0, and {failed} failed"
        if (step.code == 1 and not step.trouble and step.words[0] not in MAY_FIND
                and step.began - step.quiet_since > HOUR):
            yield f"{typed} has failed: {step.printed}"


class Alerts(Rule):
    """The operator is alerted once to an incident, reminded once a day, and told when it is over;
    none stays open that is over."""

    def __init__(self) -> None:
        self.last: dict[tuple, int] = {}            # (incident, its beginning): when he was told
        self.ended: set[tuple] = set()              # that he knows to be over

    def check(self, step):
        quiet = step.began - step.quiet_since
        for key, row in step.after["alerts"].items():
            incident, now = (key, str(row["first_seen_at"])), seconds(row["notified_at"])
            if row["notified_at"] not in (None, step.before["alerts"].get(key, {}).get(
                    "notified_at")):
                if row["resolved_at"]:
                    self.ended.add(incident)
                last = self.last.get(incident, now - REMIND)
                if not row["resolved_at"] and now - last < REMIND - 60 and step.right > 3 * DAY:
                    yield f"the operator was alerted to {key} again after {now - last} s"
                self.last[incident] = now
            if (row["resolved_at"] and incident in self.last and incident not in self.ended
                    and step.is_owed(seconds(row["resolved_at"]), LASTS)):
                yield f"nobody was told that the incident {key} is over: {row['subject']}"
            if quiet <= DAY + 2 * HOUR or step.trouble:
                continue
            is_of_others = (OF_OTHERS in row["subject"]
                            or (key == WAITS and any(
                                hook["active"] and hook["failing_since"]
                                for hook in step.after["webhooks"].values()))
                            or (row["kind"] == "guard" and step.is_held(key.split(":")[1])))
            open_for = step.ended - seconds(row["first_seen_at"])
            if not row["resolved_at"] and open_for > LASTS and not is_of_others:
                yield f"the incident {key} is open after a quiet day: {row['subject']}"


RULES = (Runs, Commands, Alerts)
