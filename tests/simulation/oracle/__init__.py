"""The rules that the service has to keep, over plain rows and what reached the world outside.

Nothing here imports the product: each module states some rules of its documentation once more, in
dictionaries. After each tick a rule gets a Step and yields a sentence for everything that is wrong.
"""
from __future__ import annotations

from collections import Counter, namedtuple
from datetime import datetime, timedelta, timezone

HOUR, DAY = 3600, 86400
# A Monday, so far ahead that no file is younger by its inode's own time, which cannot be set.
START = datetime(2034, 1, 2, 6, 0, tzinfo=timezone.utc)

# {what the journal calls an item: its table}
QUEUES = {"forward": "failed_emails", "notice": "notifications", "webhook": "webhook_deliveries"}
REACHED = ("sent", "uncertain")         # what may have come of a message that has arrived


class Step(namedtuple("Step", "began ended before after journal struck quiet_since trouble files "
                              "options clock_right_since skew words code printed ages")):
    """One tick, as it is seen from outside.

    began, ended   seconds since START
    before, after  {table: {id: row}}: as the app left it, and as the tick did; rows are dicts of
                   the columns, times are text in UTC
    journal        what reached the world outside meanwhile, a dict each (outside.py)
    struck         the points at which the process was killed, stopped or asked to end
    quiet_since    the second since which nothing has gone wrong; after `ended` while something does
    trouble        what goes wrong as it ends, or did as it began, in words; else empty
    files          {folder: set of paths}: spool, exports, archive
    options        {section: {option: value}} that are not the defaults
    clock_right_since  the second since which the host's clock has been right
    skew           seconds that it is ahead of the time that it is
    words          what was run: `run-due`, or what the operator typed
    code, printed  its exit code, or minus the signal that ended it; and what it printed
    ages           what is known of clocks, owners and notices: judge.py
    """

    @property
    def quiet(self) -> float:
        """For how long nothing has gone wrong."""
        return self.ended - self.quiet_since

    @property
    def right(self) -> float:
        """For how long the host's clock has been right."""
        return self.ended - self.clock_right_since

    @property
    def is_calm(self) -> bool:
        """Whether this was a tick of cron, which does what is due, and nothing is wrong."""
        return not self.trouble and self.words == ("run-due",)

    def gone(self, table: str) -> dict:
        """{id: row} of what it deleted."""
        after = self.after[table]
        return {id: row for id, row in self.before[table].items() if id not in after}

    def new(self, table: str) -> dict:
        """{id: row} of what it added."""
        before = self.before[table]
        return {id: row for id, row in self.after[table].items() if id not in before}

    def changed(self, table: str) -> list[tuple[dict, dict]]:
        """(row before, row after) of what it changed."""
        before = self.before[table]
        return [(before[id], row) for id, row in self.after[table].items()
                if id in before and before[id] != row]

    def sent(self, *names: str):
        """(entry of the journal, what it is of, id) of what was sent of these queues, or all, or
        was to be."""
        for entry in self.journal:
            name, _, id = entry["item"].partition("-")
            if name in (names or QUEUES) and entry["what"] != "dns":
                yield entry, name, int(id)

    def was_tried(self, table: str, id) -> bool:
        """Whether a delivery or a notice went out, or should have. What has waited for its
        suspended owner for longer than it is kept then comes to its end and is old at once."""
        return any(table == QUEUES[name] and id == other
                   for _, name, other in self.sent("notice", "webhook"))

    def notified(self, kind: str) -> Counter:
        """{user: how many notices of the kind they got}"""
        return Counter(row["user_id"] for row in self.new("notifications").values()
                       if row["kind"] == kind)

    def status(self, row: dict) -> str:
        """Of the row's owner; empty when there is none any more."""
        return self.after["users"].get(row["user_id"], {"status": ""})["status"]

    def is_leaving(self, row: dict) -> bool:
        """Whether its owner deletes the account, or is gone: then other rules apply to it."""
        owner = self.before["users"].get(row["user_id"])
        return row["user_id"] is not None and (owner is None or owner["status"] == "deleted")

    def is_owed(self, since: float, within: float) -> bool:
        """Whether what is due since then must have happened: all has been quiet for long."""
        return not self.trouble and self.ended - max(since, self.quiet_since) > within

    def ran_well(self, *jobs: str) -> bool:
        """Whether a run of one of the jobs began and ended well."""
        return any(row["job"] in jobs and row["status"] == "ok"
                   for row in self.new("job_runs").values())

    def is_held(self, job: str) -> bool:
        """Whether the job's last run has held something back; unknown of one that was struck."""
        runs = [row for row in self.after["job_runs"].values()
                if row["job"] == job and row["status"] != "skipped"]
        return bool(runs) and runs[-1]["status"] in ("ok", "partial") and (
            '"held"' in str(runs[-1]["counts"]))


class Rule:
    """`check(step)` yields what is wrong."""

    def check(self, step: Step):
        """Sentences."""
        return ()


def is_good(entry: dict) -> bool:
    """Whether a message may have arrived, or an endpoint has taken it."""
    return entry.get("outcome") in REACHED or 200 <= (entry.get("status") or 0) < 300


def seconds(text: str | None) -> int | None:
    """A column's time, in seconds since START."""
    if text is None:
        return None
    moment = datetime.fromisoformat(str(text)[:19]).replace(tzinfo=timezone.utc)
    return int((moment - START).total_seconds())


def text(second: float) -> str:
    """The same as a column has it."""
    return (START + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S")
