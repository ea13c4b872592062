"""Which schema this bundle was written for, and whether the database has it: one query in each run.

The same query returns whether the app's own tables were found to have all that the jobs need: then
they are not checked again. It also returns which of their keys are text.
"""
from __future__ import annotations

from jobs_lib import clock
from jobs_lib.errors import Missing, Unfit
from jobs_lib.paths import VERSION

from . import NAMES

SCHEMA_VERSION = 6           # the last of the migrations
APP_TABLES = "app_tables"    # in `meta`: what database/schema/app_gaps.py found out
# in `meta`: which tables the first `migrate` was for
SCOPE, OWN, ALL = "tables", "own", "all"
TEXT_KEYS = "text_keys"      # in `meta`: what database/schema/keys.py found out


def found(db) -> int:
    """The schema that the database has; 0 before the first `migrate`."""
    try:
        return db.value("SELECT MAX(version) FROM {schema_migrations}") or 0
    except Missing:
        return 0


def check(db) -> bool:
    """Raise Unfit, in one sentence, unless the schema is the one that this bundle was written for.

    Returns whether every job may run, as the app's tables are known to be complete; else `need` of
    runner/table_gaps.py finds out what a job can do.
    """
    try:
        row = db.row("SELECT MAX(version) AS version, (SELECT value FROM {meta} "
                     "WHERE name = :name) AS app_tables, (SELECT value FROM {meta} "
                     "WHERE name = :keys) AS text_keys FROM {schema_migrations}",
                     name=APP_TABLES, keys=TEXT_KEYS)
    except Missing:
        row = {"version": found(db)}
        if row["version"] == SCHEMA_VERSION:
            raise Missing(f"the database has no table {db.name('meta')}: correct [tables] in "
                          "config.ini, or run `jobs.py migrate`") from None
    version = row["version"] or 0
    current = complete(db.name)
    is_known = seen_all(current, row.get("app_tables"))
    db.text_keys = text_keys(row.get("text_keys")) if is_known else None     # asked when needed
    if version == SCHEMA_VERSION:
        return row["app_tables"] == current
    if version > SCHEMA_VERSION:
        raise newer(version)
    if version == 0:
        raise Unfit("the database has no tables of this bundle yet: run `jobs.py migrate`")
    raise Unfit(f"the database is at schema {version}, this bundle needs {SCHEMA_VERSION}: run "
                "`jobs.py migrate`")


def seen_all(current: str, noted: str | None) -> bool:
    """Whether what was noted about the app's tables was noted while all of them were there, under
    the names of `current`, as `complete` has it."""
    first, *lacks = (noted or "").split() or [""]
    return first == current and not set(lacks).intersection(NAMES)


def text_keys(stored: str | None) -> dict[str, bool]:
    """`users aliases:nocase`, as `meta` holds it: {table: whether its keys are equal in any
    case}."""
    return {name: bool(how) for name, _, how in (word.partition(":") for word
                                                 in (stored or "").split())}


def writable(db, now) -> None:
    """Write a row. Raises what keeps the database from being written; SQLite would not write what
    is there already."""
    db.upsert("meta", {"name": "written_at"}, {"value": clock.text(now)})


def complete(names) -> str:
    """What is noted of tables that have all: for this schema, by the checks of this version, under
    these names."""
    checked = f"{SCHEMA_VERSION}/{VERSION}"
    if not (names.mapped or names.columns or names.also):
        return checked
    from binascii import crc32
    columns = sorted((table, sorted(mapped.items())) for table, mapped in names.columns.items())
    mapping = repr((sorted(names.mapped.items()), columns, *names.also))
    return f"{checked}-{crc32(mapping.encode()):08x}"


def newer(version: int) -> Unfit:
    """The refusal of a database that a newer bundle has upgraded."""
    return Unfit(f"the database is at schema {version}, newer than this bundle knows "
                 f"({SCHEMA_VERSION}): install the newer bundle again", command="doctor")
