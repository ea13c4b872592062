"""Rows of an app's tables that say something else than what the column of ours means: an account
that is to be deleted some day reads as deleted, and what is switched on as switched off.

Only some rows of each table are looked at, and never by a run.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.errors import DatabaseError
from jobs_lib.runner.clock_doubt import AHEAD
from jobs_lib.text import counted

from .sampled_rows import read_as, sampled_rows

LOOKED_AT = 500             # rows of a table, from either end
FEWEST = 20
MOSTLY = 0.7                # of them read as switched off
FLAGS = (("aliases", "active"), ("webhooks", "active"))


def look(db, works: dict, now) -> list[tuple[str, str, str]]:
    """(what there is, what that means, what to do). `works`: {table: the Work of the jobs that are
    enabled}."""
    found = [*_to_be_deleted(db, works, now)]
    for name, column in FLAGS:
        if column in works[name].written:
            found += _opposite(db, name, column)
    return found


def _to_be_deleted(db, works: dict, now):
    """Accounts whose deletion an app has planned."""
    if not ("deleted_at" in works["users"].written
            and db.columns("users").issuperset({"status", "deleted_at"})):
        return
    try:
        number = db.value("SELECT COUNT(*) FROM {users} WHERE status = 'deleted' "
                          "AND deleted_at > :ahead", ahead=clock.plus(now, AHEAD))
    except DatabaseError:                   # reported with the schema
        return
    if number:
        shown = db.name.shown("users", "deleted_at")
        then = "delete_accounts closes them with its next run, and that time becomes the present."
        fix = ("If your app deletes them only then, let [columns] users.status read as deleted "
               "from that time on (docs/adoption.md, Expressions).")
        yield (f"{counted(number, 'account')} read as deleted, with a time in the future in "
               f"{shown}"), then, fix


def _opposite(db, name: str, column: str):
    """Where a column of the app's seems to say that something is off."""
    theirs = db.name.column(name, column)
    if db.name.expression(name, column) or theirs == column:
        return
    rows = sampled_rows(db, name, {"held": read_as(db, name, column)}, LOOKED_AT)
    off = sum(row["held"] == 0 for row in rows)
    if off >= FEWEST and off > len(rows) * MOSTLY:
        what = (f"{db.name.shown(name, column)} is 0 in {off:,} of {len(rows):,} rows that were "
                "looked at, and to the jobs that is switched off")
        then = ("If it means the opposite, jobs switch on what they mean to switch off, such as "
                "the aliases of a closed account.")
        fix = (f"If it means the opposite, map it so: {name}.{column} = 1 - {theirs}, with the "
               f"line `write {theirs} = 1 - :value`.")
        yield what, then, fix
