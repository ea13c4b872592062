"""Which schema this bundle was written for, and whether the database has it: one query in each run.

The same query returns under which names `migrate` has seen the tables, what it has found out about
those of an app (fit.py), and which of their keys are text (keys.py). All of it is in `meta`.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.errors import Broken, Missing, Unfit
from jobs_lib.folders import VERSION

SCHEMA_VERSION = 1
# in `meta`: the schema that the database has, and the names of its tables then
SCHEMA, NAMED = "schema", "names"
SCOPE, OWN, ALL = "tables", "own", "all"  # which tables the first `migrate` was for
# which version has looked at the app's tables, and in which it found something wrong
FIT = "fit"
TEXT_KEYS = "text_keys"  # the app's tables whose keys are text
FACTS = (SCHEMA, NAMED, SCOPE, FIT, TEXT_KEYS)


def facts(db) -> dict[str, str]:
    """What `meta` holds of that; {} before the first `migrate`."""
    try:
        rows = db.query("SELECT name, value FROM {meta} WHERE name IN (:names)", names=FACTS)
    except Missing:
        return {}
    # a tool may have written anything into it
    return {row["name"]: row["value"] if isinstance(row["value"], str) else "" for row in rows}


def found(db) -> int:
    """The schema that the database has; 0 before the first `migrate`."""
    return number(facts(db))


def number(known: dict) -> int:
    """The same, of these facts."""
    text = known.get(SCHEMA, "")
    return int(text) if text.isdecimal() else 0


def check(db) -> bool:
    """Raise Unfit, in one sentence, unless the schema is the one that this bundle was written for;
    Broken where there is none.

    Returns whether every job may run, as the app's tables were found to be as the jobs need them;
    else `need` of fit.py says what a job can do.
    """
    known = facts(db)
    refuse_newer(number(known))
    if number(known) < SCHEMA_VERSION:
        raise (Unfit("the database has an older bundle's tables, or lacks some: "
                     "run `jobs.py migrate`")
               if known else Broken(f"the database has no tables of this bundle{db.absent()}"))
    if known.get(NAMED, "") != names_of(db):
        raise Unfit("the names in [tables] have changed since the last `jobs.py migrate`: run it "
                    "again")
    db.text_keys = frozenset(known.get(TEXT_KEYS, "").split())
    return known.get(FIT) == VERSION


def refuse_newer(version: int) -> None:
    """Raise Unfit where a newer bundle has upgraded the database."""
    if version > SCHEMA_VERSION:
        raise Unfit(f"the database is at schema {version}, newer than this bundle knows "
                    f"({SCHEMA_VERSION}): install the newer bundle again", command="doctor")


def names_of(db) -> str:
    """The names in [tables]: `aliases=addresses users=members`."""
    return " ".join(sorted(f"{ours}={theirs}" for ours, theirs in db.name.mapped.items()))


def writable(db, now) -> None:
    """Write a row. Raises what keeps the database from being written; SQLite would not write what
    is there already."""
    db.upsert("meta", {"name": "written_at"}, {"value": clock.text(now)})
