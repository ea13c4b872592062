"""Columns of an app's tables most of whose ids have no row: `[columns]` names the wrong one, or
`[tables]` the wrong table.

Where all keys look alike, as UUIDs do, no other check sees it; then mail is cancelled as nobody's,
and a destination that aliases use counts as unused. Only some rows of each table are looked at, and
never by a run.
"""
from __future__ import annotations

from functools import partial

from jobs_lib.chunks import chunked
from jobs_lib.database.schema.app_tables import TABLES
from jobs_lib.database.schema.references import REFERENCES
from jobs_lib.database.schema.tables import column_names, table
from jobs_lib.database.schema.views import is_view
from jobs_lib.database.values import keys_in, words
from jobs_lib.errors import DatabaseError, JobsError

from .sampled_rows import read_as, sampled_rows

LOOKED_AT = 500             # rows of a table, from either end
FEWEST = 10                 # different ids without a row
AT_ONCE = 500               # ids in one statement
# What may outlive the row that it names is no mistake.
KEPT = ("later", "stays")
LEFT = "If those rows were only deleted, no harm is done."
# what becomes of such rows, by what their table or what they should refer to is
THEN = {"alias_destinations": "expire_destination_verifications deletes destinations that are not "
        "verified and that no alias uses.",
        "users": "Mail and deliveries of no account are cancelled, and no such row is exported or "
        "deleted with an account.",
        "": "No job finds such a row by the one that it belongs to."}


def look(db, works: dict, config) -> list[tuple[str, str, str]]:
    """(what there is, what that means, what to do). `works`: {table: the Work of the jobs that are
    enabled}."""
    found = []
    there = db.columns_of(TABLES)
    for name, columns in there.items():
        wanted = {one.column: one.target for one in REFERENCES
                  if one.table == name and one.goes not in KEPT and one.target in there
                  and one.column in columns & works[name].columns}
        rows = sampled_rows(db, name, {column: read_as(db, name, column) for column in wanted},
                            LOOKED_AT, table(name).key[0])
        for column, target in wanted.items():
            found += _of_column(db, db.name.shown(name, column), (name, target),
                                [row[column] for row in rows],
                                f"in [columns] {name}.{column}")
    for each in db.name.also if works["users"].deletes else ():
        found += _of_column(db, f"{each.table}.{each.column}", ("", "users"), _further(db, each),
                            f"in [delete_accounts] also, such as {each.table}.user_id")
    if "envelope_to" in works["failed_emails"].columns:
        found += _strangers(db, there)
    return [*found, *_unused(db, there)] if _removes(config) else found


def _of_column(db, shown: str, names: tuple, values: list, place: str):
    """The finding about one column, or none. `names`: of its table and of that which it refers
    to."""
    target = names[1]
    # 0 and '' stand for no row
    ids = {db.key(target, value): value for value in keys_in(values) if value not in (0, "")}
    try:
        lost = len(ids) - sum(
            db.value(f"SELECT COUNT(*) FROM {{{target}}} WHERE id IN (:ids)", ids=some)
            for some in chunked(list(ids.values()), AT_ONCE))
    except DatabaseError:                   # reported with the schema
        return
    if lost >= FEWEST and lost > len(ids) / 2:
        what = (f"{shown} has ids without a row in {db.name(target)}: {lost:,} of {len(ids):,} "
                "that were looked at")
        fix = (f"Name the column that holds the id {place}, and the right table in [tables] "
               f"{target}. {LEFT}")
        yield what, next(THEN[name] for name in (*filter(None, names), "") if name in THEN), fix


def _further(db, further) -> list:
    name, column = further.where(db)
    try:
        return [row["owner"] for row in db.query(
            f"SELECT {column} AS owner FROM {name} LIMIT {2 * LOOKED_AT}")]
    except DatabaseError:                   # further.py says what does not fit
        return []


def _strangers(db, there: dict):
    """Whether forwards go elsewhere than to their destination: with the two envelopes taken for
    each other, people's mail would go back to its senders."""
    columns = ("envelope_to", "destination_id")
    if not (there.get("failed_emails", set()).issuperset(columns)
            and there.get("destinations", set()).issuperset({"id", "email"})):
        return
    rows = sampled_rows(db, "failed_emails", {
        column: read_as(db, "failed_emails", column) for column in columns}, LOOKED_AT)
    key = partial(db.key, "destinations")
    addresses: dict = {}
    try:
        for some in chunked(keys_in({row["destination_id"] for row in rows}), AT_ONCE):
            addresses.update((key(row["id"]), words(row["email"]).lower()) for row in db.query(
                "SELECT id, email FROM {destinations} WHERE id IN (:ids)", ids=some))
    except DatabaseError:                   # reported with the schema
        return
    # what has no @ may be encrypted
    pairs = [(words(row["envelope_to"]).lower(), addresses[key(row["destination_id"])])
             for row in rows if key(row["destination_id"]) in addresses]
    pairs = [(to, own) for to, own in pairs if "@" in to and "@" in own]
    others = sum(to != own for to, own in pairs)
    if others >= FEWEST and others > len(pairs) / 2:
        shown = db.name.shown("failed_emails", "envelope_to")
        then = "retry_forwards sends to that address, which may be a stranger's."
        fix = ("Name the column with the recipient of the forward in [columns] "
               "failed_emails.envelope_to.")
        yield (f"{shown} is not the address of the row's destination in {others:,} of "
               f"{len(pairs):,} rows that were looked at"), then, fix


# what may name a destination, beside the links of the aliases
USERS_OF_DESTINATIONS = ("users", "aliases", "domains")


def _removes(config) -> bool:
    try:
        options = config.job_named("expire_destination_verifications")
    except JobsError:               # its options are wrong, which is reported, or it is not there
        return False
    return bool(options.enabled and options.remove_after)


def _unused(db, there: dict):
    """Whether nothing says which alias uses which; and columns that seem to say what else does."""
    names = ("aliases", "destinations", "alias_destinations")
    if not set(names) <= set(there):
        return
    try:
        rows = [bool(db.row(f"SELECT 1 AS one FROM {{{name}}} LIMIT 1")) for name in names]
    except DatabaseError:
        return
    if rows == [True, True, False]:
        fix = ("If your app keeps that elsewhere, such as in a column of the aliases, let a view "
               "show it in [tables] alias_destinations, or switch that job off.")
        yield (f"{db.name('alias_destinations')} is empty, so no alias uses a destination",
               "expire_destination_verifications deletes each destination that is not verified.",
               fix)
    if rows[1] and (others := _others(db)):
        then = ("No job knows that: expire_destination_verifications deletes those that are not "
                "verified and that no alias uses.")
        fix = ("Unless they do not, let a view in the place of alias_destinations show those as "
               "used, or switch that job off: docs/adoption.md, step 7.")
        yield f"{', '.join(others)} may name rows of {db.name('destinations')}", then, fix


def _others(db) -> list[str]:
    """Columns that no job knows, and that are named like one that refers to a destination:
    `default_recipient_id` beside `recipient_id`. None where an expression or a view may leave
    out what they name."""
    catalogue = db.catalogue(TABLES)
    if db.name.expression("destinations", "verified_at") or any(
            is_view(catalogue.get(name)) for name in ("destinations", "alias_destinations")):
        return []
    theirs = db.name.column("alias_destinations", "destination_id").lower()
    return [f"{db.name(name)}.{facts['name']}" for name in USERS_OF_DESTINATIONS
            for column, facts in catalogue.get(name, {}).items()
            if column not in column_names(name) and facts["name"].lower().endswith(theirs)]
