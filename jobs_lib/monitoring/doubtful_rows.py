"""What `doctor`, `migrate --check` and `adopt` warn of, and only the rows of an app's tables show.

That is what the modules beside this one find, and rows that say something else than our column
means: an account to be deleted some day reads as deleted, what is on as off, and a name is no
address.

Only some rows of each table are looked at, and never by a run.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.addresses import AddressError, check
from jobs_lib.database import stored
from jobs_lib.errors import DatabaseError
from jobs_lib.hostnames import ascii_form
from jobs_lib.runner.clock_doubt import AHEAD
from jobs_lib.text import counted

from . import unknown_words
from .sampled_rows import read_as, sampled_rows

LOOKED_AT = 500             # rows of a table, from either end
FEWEST = 20
MOSTLY = 0.7                # of them read as switched off
ADDRESS = "an address"
TEXTS = (("aliases", "address", ADDRESS), ("destinations", "email", ADDRESS),
         ("domains", "name", "a domain name"))
FEW = 5
# a flag, and since when it is rightly off
FLAGS = (("aliases", "active", "expires_at"), ("webhooks", "active", "disabled_at"))
# what the jobs do with it
THEN = {"aliases": "Notices name it, and its hash is kept after its account is deleted, so that "
        "nobody else is given it.",
        "destinations": "Notices name it.",
        "domains": "Its DNS records are checked, and its owner is notified of what is wrong."}


def look(db, config, works: dict, now, words: list) -> list[tuple[str, str, str]]:
    """(what there is, what that means, what to do). `works`: {table: the Work of the jobs that are
    enabled}; `words`: what unknown_words.py has found."""
    found = [*map(unknown_words.in_words, words), *unknown_words.in_enums(db, works, words),
             *_to_be_deleted(db, works, now)]
    for name, column, kind in TEXTS:
        if column in works[name].columns & db.columns(name):
            found += _no_name(db, name, column, kind)
    for name, column, since in FLAGS:
        if column in works[name].written:
            found += _opposite(db, name, column, since, now)
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


def _no_name(db, name: str, column: str, kind: str):
    """Where most of what should be addresses, or domains, is none."""
    values = [row["held"] for row in sampled_rows(db, name, {"held": read_as(db, name, column)},
                                                  LOOKED_AT)]
    wrong = [value for value in values if not _is(kind, value)]
    if len(wrong) >= FEW and len(wrong) * 2 > len(values):
        what = (f"{db.name.shown(name, column)} is not {kind} in {len(wrong):,} of {len(values):,} "
                "rows that were looked at")
        fix = (f"Name the column that has it in [columns] {name}.{column}, or put it together by "
               "an expression (docs/adoption.md, Expressions).")
        yield what, THEN[name], fix


def _is(kind: str, value) -> bool:
    try:
        if kind == ADDRESS:
            check(value)
        else:
            ascii_form(value)
    except (AddressError, ValueError, AttributeError, TypeError):
        return False
    return True


def _opposite(db, name: str, column: str, since: str, now):
    """Where a column of the app's seems to say that something is off."""
    theirs = db.name.column(name, column)
    if db.name.expression(name, column) or theirs == column:
        return
    rows = [row for row in sampled_rows(db, name, {
                "held": read_as(db, name, column),
                "since": read_as(db, name, since) if since in db.columns(name) else "NULL"},
                LOOKED_AT) if (stored.time(row["since"]) or now) >= now]
    off = sum(row["held"] == 0 for row in rows)
    if off >= FEWEST and off > len(rows) * MOSTLY:
        what = (f"{db.name.shown(name, column)} is 0 in {off:,} of {len(rows):,} rows that were "
                "looked at, and to the jobs that is switched off")
        then = ("If it means the opposite, jobs switch on what they should switch off, such as "
                "the aliases of a closed account.")
        fix = (f"If it means the opposite, map it so: {name}.{column} = 1 - {theirs}, with the "
               f"line `write {theirs} = 1 - :value`.")
        yield what, then, fix
