"""What goes with an account, table by table, derived from the one list of who refers to whom.

Rows that others refer to go after those others, so that each table is emptied in batches of its
own. Whatever refers to a row that goes, and belongs to nobody or to another account, goes in the
same transaction.
"""
from __future__ import annotations

from collections import namedtuple
from functools import cache

from jobs_lib.database.schema import references
from jobs_lib.database.schema.tables import table

# A row in the hands of a run that lives: its owner stores what comes of it, and the next run takes
# it.
HELD = ("(status NOT IN ('sending', 'running') OR lease_until IS NULL OR lease_until < "
        ":claimed_before)")
# What may identify somebody. `details` is the app's own JSON: nobody can tell what in it would.
ANONYMOUS = "user_id = NULL, actor = '', ip = '', details = NULL"

Gone = namedtuple("Gone", "rows files addresses exports")
Gone.__doc__ = """What a transaction deletes: {table: rows}, the files in the spool that they named, the addresses of
aliases, and rows of export_requests (`id`, `file_name`, `file_bytes`)."""
KEPT = ("raw_path", "address", "file_name", "file_bytes")     # columns of which a Gone tells


def order() -> list:
    """The references to `users`: queues first, and each before those of the tables that its own
    rows refer to."""
    from graphlib import TopologicalSorter

    mine = {reference.table: reference for reference in references.to("users")}
    before = {name: sorted({other.table for other in references.to(name) if other.goes == "with"}
                           & set(mine)) for name in mine}
    names = sorted(TopologicalSorter(before).static_order(), key=lambda name: not is_queue(name))
    return [mine[name] for name in names]


def works_on() -> str:
    """What is read and changed to delete an account, as Job's `tables` says it."""
    own = {name: {*table(name).key, *({"status", "lease_until"} if is_queue(name) else ()),
                  *(column for column in KEPT if column in columns(name))}
           for name in dict.fromkeys(reference.table for reference in references.REFERENCES)}
    for reference in references.REFERENCES:
        if reference.goes != "later":
            own[reference.table].add(reference.column)
    return "".join(f"{name}: {' '.join(sorted(found))}\n" for name, found in own.items())


def is_queue(name: str) -> bool:
    """Whether its rows are claimed by the runs that work on them."""
    return "claim_run" in columns(name)


@cache
def columns(name: str) -> frozenset:
    """The columns of a table of ours."""
    return frozenset(column.name for column in table(name).columns)


@cache
def next_key(name: str) -> str:
    """`id`, or what comes second in a key of several columns: a user's rows are told apart by
    it."""
    return table(name).key[-1 if len(table(name).key) == 1 else 1]


def erase(db, name: str, ids: list[int], rule: str, values: dict, gone: Gone) -> int:
    """Delete those of the rows that still match, and what goes with them; how many of this table.

    Called in a transaction. `gone` is added to.
    """
    kept = [column for column in KEPT if column in columns(name)]
    rows = db.query(f"SELECT {', '.join(['id', *kept])} FROM {{{name}}}{db.dialect.by_key} "
                    "WHERE id IN (:ids)"
                    f" AND {rule}{db.for_update}", ids=ids, **values)
    ids = [row["id"] for row in rows]
    if not ids:
        return 0
    for reference in references.to(name):
        _with(db, reference, ids, gone)
    db.execute(f"DELETE FROM {{{name}}}{db.dialect.by_key} WHERE id IN (:ids)", ids=ids)
    gone.rows[name] = gone.rows.get(name, 0) + len(ids)
    gone.files.extend(row["raw_path"] for row in rows if "raw_path" in row)
    if name == "aliases":
        gone.addresses.extend(row["address"] for row in rows)
    if name == "export_requests":
        gone.exports.extend(rows)
    return len(ids)


def _with(db, reference, ids: list[int], gone: Gone) -> None:
    """What refers to the rows with these ids."""
    name, where, values = reference.table, f"{reference.column} IN (:parents)", {"parents": ids}
    if reference.goes == "unset":
        db.execute(f"UPDATE {{{name}}} SET {reference.column} = NULL WHERE {where}", **values)
    elif reference.goes == "with" and table(name).key != ("id",):
        number = db.execute(f"DELETE FROM {{{name}}} WHERE {where}", **values)
        if number:
            gone.rows[name] = gone.rows.get(name, 0) + number
    elif reference.goes in ("with", "stays"):
        found = [row["id"] for row in db.query(f"SELECT id FROM {{{name}}} WHERE {where}",
                                               **values)]
        if found:
            (erase if reference.goes == "with" else anonymise)(db, name, found, where, values, gone)


def anonymise(db, name: str, ids: list[int], rule: str, values: dict, gone: Gone) -> int:
    """Take out of the rows of audit_logs what may identify somebody; they stay. Called in a
    transaction."""
    number = db.execute(f"UPDATE {{{name}}} SET {ANONYMOUS} WHERE id IN (:ids) AND {rule}", ids=ids,
                        **values)
    gone.rows[name] = gone.rows.get(name, 0) + number
    return number
