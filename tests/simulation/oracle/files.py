"""The raw messages in the spool: each as long as a row names it, and no longer (docs/retention.md,
docs/mail.md)."""
from __future__ import annotations

from . import DAY, Rule, seconds

# From when on a row may be deleted: its column, and how long after it. A kill just before the
# COMMIT brings it back without its file.
ENDS = {"failed_emails": (("finished_at", 7 * DAY),),
        "overflow_hold": (("held_at", 30 * DAY), ("released_at", 7 * DAY)),
        "spam_quarantine": (("quarantined_at", 30 * DAY),)}


class Spool(Rule):
    """A file goes with the last row that names it, never before; one that no row ever named is the
    app's."""

    def __init__(self) -> None:
        self._named: set[str] = set()           # those that a row named once
        self._unnamed: set[str] = set()         # those that no row ever named
        self._spared: set[str] = set()          # gone at a kill, before their rows

    def check(self, step):
        named, needed, past = set(), set(), set()
        for table, ends in ENDS.items():
            for row in step.after[table].values():
                named.add(row["raw_path"])
                # an account's files are deleted just before its rows, which it will not see again
                if step.status(row) != "deleted":
                    is_past = any(row[column] is not None and seconds(row[column]) + keep
                                  < step.ended + step.skew for column, keep in ends)
                    (past if is_past else needed).add(row["raw_path"])
            self._named.update(row["raw_path"] for row in step.before[table].values())
        self._named |= named
        there = {path for path in step.files["spool"] if not path.startswith(".")}
        if step.struck:
            self._spared |= past - needed - there
        for path in (needed | past) - there - self._spared:
            yield f"{path} is named by a row, and is not there"
        for path in there & self._named - named:
            yield f"{path} is there though the last row that named it was deleted"
        for path in self._unnamed - self._named - there:
            yield f"{path} was deleted though no row ever named it"
        self._unnamed = there - self._named


RULES = (Spool,)
