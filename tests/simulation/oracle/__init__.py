"""The rules that the service has to keep, over plain rows and what reached the world outside.

Nothing here imports the product: each module states some rules of its documentation once more, in
dictionaries. After each tick a rule gets a Step and yields a sentence for everything that is wrong.
"""
from __future__ import annotations

from collections import namedtuple
from datetime import datetime, timedelta, timezone

HOUR, DAY = 3600, 86400
# A Monday, so far ahead that no file is younger by its inode's own time, which cannot be set.
START = datetime(2034, 1, 2, 6, 0, tzinfo=timezone.utc)

ITEMS = {"webhook_deliveries": "webhook", "notifications": "notice"}     # in the journal

Step = namedtuple("Step", "began ended before after journal struck quiet_since trouble files "
                          "options clock_right_since skew words code printed")
Step.__doc__ = """One tick, as it is seen from outside.

began, ended   seconds since START
before, after  {table: {id: row}}: as the app left it, and as the tick did; rows are dicts of the
               columns, times are text in UTC
journal        what reached the world outside meanwhile, a dict each (outside.py)
struck         the points at which the process was killed, stopped or asked to end
quiet_since    the second since which nothing has gone wrong; after `ended` while something does
trouble        what goes wrong at this moment, in words; empty when nothing does
files          {folder: set of paths}: spool, exports, archive
clock_right_since  the second since which the host's clock has been right
skew           seconds that it is ahead of the time that it is
options        {section: {option: value}} that are not the defaults
words          what was run: `run-due`, or what the operator typed
code, printed  its exit code, or minus the signal that ended it; and what it printed
"""


class Rule:
    """`check(step)` yields what is wrong."""

    def check(self, step: Step):
        """Sentences."""
        return ()

    def figures(self) -> dict[str, int]:
        """What it has counted, for the summary of the run."""
        return {}


def is_calm_tick(step: Step) -> bool:
    """Whether this was a tick of cron, in which the jobs do what is due, and nothing is wrong."""
    return not step.trouble and step.words == ("run-due",)


def seconds(text: str | None) -> int | None:
    """A column's time, in seconds since START."""
    if text is None:
        return None
    moment = datetime.fromisoformat(str(text)[:19]).replace(tzinfo=timezone.utc)
    return int((moment - START).total_seconds())


def text(second: float) -> str:
    """The same as a column has it."""
    return (START + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S")


def gone(step: Step, table: str) -> dict:
    """{id: row} of what this tick deleted."""
    after = step.after[table]
    return {id: row for id, row in step.before[table].items() if id not in after}


def was_tried(step: Step, table: str, id) -> bool:
    """Whether a delivery or a notice went out in this tick, or should have. What has waited for its
    suspended owner for longer than it is kept then comes to its end and is old at once."""
    item = f"{ITEMS.get(table)}-{id}"
    return any(entry["item"] == item for entry in step.journal)


def changed(step: Step, table: str) -> list[tuple[dict, dict]]:
    """(row before, row after) of what this tick changed."""
    before = step.before[table]
    return [(before[id], row) for id, row in step.after[table].items()
            if id in before and before[id] != row]


def new(step: Step, table: str) -> dict:
    """{id: row} of what this tick added."""
    before = step.before[table]
    return {id: row for id, row in step.after[table].items() if id not in before}


def ran_well(step: Step, *jobs: str) -> bool:
    """Whether a run of one of the jobs began and ended well in this tick."""
    return any(row["job"] in jobs and row["status"] == "ok"
               for row in new(step, "job_runs").values())


def is_held(step, job: str) -> bool:
    """Whether the job's last run has held something back."""
    counts = [row["counts"] for row in step.after["job_runs"].values()
              if row["job"] == job and row["status"] in ("ok", "partial")]
    return bool(counts and '"held"' in str(counts[-1]))
