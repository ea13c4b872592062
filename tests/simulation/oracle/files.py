"""The raw messages in the spool: each as long as a row names it, and no longer (docs/retention.md,
docs/mail.md)."""
from __future__ import annotations

from . import DAY, HOUR, Rule, gone
from .ages import is_owed

TABLES = ("failed_emails", "overflow_hold", "spam_quarantine")
SOON = DAY + 3 * HOUR           # two sweeps, of which the second may be the next day's
YOUNG = HOUR                    # the mail hook may still write the row


class Spool(Rule):
    """A file goes after the last row that needs it, and with the last that names it; one that none
    names goes too, but not while it is young."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}       # when a file was first there
        self._named: set[str] = set()           # those that a row named once
        self._unnamed: dict[str, float] = {}    # since when no row names it

    def check(self, step):
        """Rows, files, and both."""
        named = {row["raw_path"] for table in TABLES for row in step.after[table].values()}
        # an account's files are deleted just before its rows, which it will not see again
        leaving = {id for id, user in step.after["users"].items() if user["status"] == "deleted"}
        needed = {row["raw_path"] for table in TABLES for row in step.after[table].values()
                  if row.get("status") != "sent" and row["user_id"] not in leaving}
        self._named |= named
        self._named.update(row["raw_path"] for table in TABLES
                           for row in step.before[table].values())
        there = {path for path in step.files["spool"] if not path.startswith(".")}
        for path in needed - there:
            yield f"{path} is named by a row, and is not there"
        if not step.struck and not step.trouble:
            for path in (self._of_deleted(step) - named) & there:
                yield f"{path} is there though the last row that named it was deleted"
        for path in self._seen.keys() - there:
            if path not in self._named and step.ended - self._seen[path] < YOUNG:
                yield f"{path} was deleted while its row may still be written"
        for path in there:
            self._seen.setdefault(path, step.began)
            if path in named:
                self._unnamed.pop(path, None)
            elif is_owed(step, self._unnamed.setdefault(path, step.ended), SOON):
                yield (f"{path} has been named by no row for "
                       f"{(step.ended - self._unnamed[path]) / HOUR:.1f} h")
        self._seen = {path: since for path, since in self._seen.items() if path in there}

    @staticmethod
    def _of_deleted(step) -> set[str]:
        return {row["raw_path"] for table in TABLES for row in gone(step, table).values()}


RULES = (Spool,)
