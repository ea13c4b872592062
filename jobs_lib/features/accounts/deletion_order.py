"""What is deleted with an account, in which order, derived from the one list of references.

Rows that others refer to are deleted after those others, so that each table is emptied in batches
of its own. What refers to a deleted row, and belongs to nobody or to another account, is deleted in
the same transaction.
"""
from __future__ import annotations

from collections import Counter
from functools import cache

from jobs_lib.database.schema import references
from jobs_lib.database.schema.tables import is_queue, table
from jobs_lib.database.values import chunked
from jobs_lib.engines.batch_delete import LISTED
from jobs_lib.engines.rows import IN_HAND

# A row in the hands of a run that lives: its owner stores what comes of it, and the next run takes
# it.
NOT_HELD = f"(status NOT IN ('sending', 'running') OR NOT COALESCE({IN_HAND}, 0))"
# What may identify somebody. `details` is the app's own JSON: nobody knows what in it would. Of
# attempts stays what the relay's limits count.
ANONYMOUS = {"audit_logs": "user_id = NULL, actor = '', ip = '', details = NULL",
             "attempts": "user_id = NULL, domain = NULL, recipient = NULL, answer = NULL"}

ASKED_AT_ONCE = 5_000           # keys in one statement
LAST = ("domains", "destinations")      # an app's aliases and logs often refer to them
KEPT = ("raw_path", "address", "file_name")     # columns that a Removal keeps


def order() -> list:
    """The references to `users`: queues first, LAST last, and each before those of the tables that
    its own rows refer to."""
    from graphlib import TopologicalSorter

    mine = {reference.table: reference for reference in references.to("users")}
    before = {name: sorted({other.table for other in references.to(name)
                            if other.goes in ("with", "later")}
                           & set(mine)) for name in mine}
    names = sorted(TopologicalSorter(before).static_order(),
                   key=lambda name: (not is_queue(name), name in LAST))
    return [mine[name] for name in names]


@cache
def columns(name: str) -> frozenset:
    """The columns of a table of ours."""
    return frozenset(column.name for column in table(name).columns)


@cache
def next_key(name: str) -> str:
    """`id`, or what comes second in a key of several columns: it distinguishes a user's
    rows."""
    return table(name).key[-1 if len(table(name).key) == 1 else 1]


def along(db, name: str) -> str:
    """The column by whose ranges the rows of one user are deleted: what comes after `user_id` in
    the index of the table, where each engine puts the number of a row behind the columns. "" where
    rows have to be read first: also where keys are text."""
    column = _after_user(name) or ("" if name in db.text_keys else "id")
    return column if goes_unread(name) else ""


@cache
def goes_unread(name: str) -> bool:
    """Whether nothing is kept of its rows, and what refers to them was deleted before by its own
    `user_id`."""
    refer = [reference for reference in references.to(name) if reference.goes != "later"]
    return (table(name).key == ("id",) and columns(name).isdisjoint(KEPT)
            and all(reference.goes == "with" and "user_id" in columns(reference.table)
                    for reference in refer))


def _after_user(name: str) -> str:
    return next((index.columns[1] for index in table(name).indexes
                 if index.columns[0] == "user_id" and index.columns[1:]), "")


class Removal:
    """What one transaction deletes of an account, and what has to follow from that.

    rows       {table: number}
    files      in the spool that the rows named
    addresses  of aliases
    exports    rows of export_requests: `id`, `file_name`, `claim_run`

    Each method gets the ids of rows, the condition that they must still fulfil with its values, and
    returns how many rows of that table it met.
    """

    def __init__(self, db) -> None:
        self.db = db
        self.rows: Counter = Counter()
        self.files: list[str] = []
        self.addresses: list[str] = []
        self.exports: list[dict] = []

    def erase(self, name: str, ids: list, rule: str, values: dict) -> int:
        """Delete the rows, and what has to be deleted with them."""
        db, by_key = self.db, self.db.by_key(name)
        kept = [column for column in KEPT if column in columns(name)]
        if name == "export_requests":
            kept.append("claim_run")    # its file is called after the run that was making it
        rows = db.query(f"SELECT {', '.join(['id', *kept])} FROM {{{name}}}{by_key}"
                        f" WHERE id IN (:ids) AND {rule}{db.for_update}", ids=ids, **values)
        ids = [row["id"] for row in rows]
        if not ids:
            return 0
        for reference in references.to(name):
            self._erase_with(reference, ids)
        db.execute(f"DELETE FROM {{{name}}}{by_key} WHERE id IN (:ids)", ids=ids)
        self.rows[name] += len(ids)
        self.files.extend(row["raw_path"] for row in rows if "raw_path" in row)
        if name == "aliases":
            self.addresses.extend(row["address"] for row in rows)
        if name == "export_requests":
            self.exports.extend(rows)
        return len(ids)

    def erase_where(self, name: str, _, rule: str, values: dict) -> int:
        """The same for a table that has an `along`: all rows that match."""
        db = self.db
        for reference in references.to(name):
            if reference.goes == "with":
                # what another account's row, or a late one, refers to
                child = f"{{{reference.table}}}"
                ids = [row["id"] for row in db.query(
                    f"SELECT id FROM {{{name}}} WHERE {rule} AND EXISTS (SELECT 1 FROM {child}"
                    f" WHERE {child}.{reference.column} = {{{name}}}.id)", **values)]
                for some in chunked(ids, LISTED):
                    self._erase_with(reference, some)
        self.rows[name] += (number := db.execute(f"DELETE FROM {{{name}}} WHERE {rule}", **values))
        return number

    def erase_keyed(self, name: str, parts: list, rule: str, values: dict) -> int:
        """The same for a table whose key has several columns, up to the last of the parts that were
        read."""
        self.rows[name] += (number := self.db.execute(
            f"DELETE FROM {{{name}}} WHERE {rule} AND {next_key(name)} <= :last", last=parts[-1],
            **values))
        return number

    def anonymise(self, name: str, ids: list, rule: str, values: dict) -> int:
        """Take out of rows what may identify somebody; they stay."""
        self.rows[name] += (number := self.db.execute(
            f"UPDATE {{{name}}} SET {ANONYMOUS[name]} WHERE id IN (:ids) AND {rule}", ids=ids,
            **values))
        return number

    def _erase_with(self, reference, ids: list) -> None:
        """What refers to the rows with these ids."""
        name, where, values = reference.table, f"{reference.column} IN (:parents)", {"parents": ids}
        if reference.goes == "unset":
            self.db.execute(f"UPDATE {{{name}}} SET {reference.column} = NULL WHERE {where}",
                            **values)
        elif reference.goes == "with" and table(name).key != ("id",):
            if self.db.is_only_read(name):
                return                      # a view: its rows are parts of those that go
            self.rows[name] += self.db.execute(f"DELETE FROM {{{name}}} WHERE {where}", **values)
        elif reference.goes in ("with", "stays"):
            found = [row["id"] for row in self.db.query(f"SELECT id FROM {{{name}}} WHERE {where}",
                                                        **values)]
            act = self.erase if reference.goes == "with" else self.anonymise
            for some in chunked(found, ASKED_AT_ONCE):
                act(name, some, where, values)
