"""Further tables of an app's whose rows belong to an account: `[delete_accounts] also =
usernames.user_id, shop.tokens.owner_id`, each with the column that holds the user's id.

No job knows what is in them: their rows are counted, exported and deleted by that column, page by
page in the order of their primary key.
"""
from __future__ import annotations

from jobs_lib.records import namedtuple

from . import NAMES, is_word, keys
from .foreign_keys import KEEP
from .tables import is_queue


class Further(namedtuple("Further", "table column")):
    """`table` as `[tables]` would have it."""

    def where(self, db) -> tuple[str, str]:
        """(the table, its owner's column) in SQL."""
        return db.dialect.quote(self.table), db.dialect.exact(self.column)

    def number(self, db, ids: list) -> int:
        """How many rows these users have."""
        table, column = self.where(db)
        return db.value(f"SELECT COUNT(*) FROM {table} WHERE {column} IN (:ids)", ids=ids)

    def owners(self, db, ids: list) -> list:
        """Those of these users whose id is in a row."""
        table, column = self.where(db)
        return [row["owner"] for row in db.query(
            f"SELECT DISTINCT {column} AS owner FROM {table} WHERE {column} IN (:ids)", ids=ids)]

    def delete_some(self, db, user_id, most: int) -> int:
        """Delete as many rows of a user, at most, in the open transaction; how many there were."""
        table, column = self.where(db)
        return db.execute(db.dialect.delete_some(table, f"{column} = :user", [
            db.dialect.exact(name) for name in db.primary_key(self.table)]),
            user=user_id, most=most)


def parse(text: str) -> Further:
    """`usernames.user_id`. ValueError says what was expected."""
    table, _, column = text.rpartition(".")
    if not (table.count(".") <= 1 and all(map(is_word, [*table.split("."), column]))):
        raise ValueError("expected table.column, or database.table.column")
    return Further(table, column)


def look(db) -> list[str]:
    """What is wrong with them, as codes of misfits.py: `further:no_column:usernames:user_id`."""
    from .misfits import has_transactions  # not needed to parse the option

    known = {db.name(name).lower() for name in NAMES}
    key = db.catalogue(["users"]).get("users", {}).get("id") if db.name.also else None
    declared = db.foreign_keys(()) if db.name.also else []
    found = []
    for each in db.name.also:
        columns = db.facts(each.table)
        column = columns.get(each.column.lower())
        if each.table.lower() in known:
            wrong: tuple = ("known", each.table)
        elif not columns:
            wrong = ("no_table", each.table)
        elif not column:
            wrong = ("no_column", each.table, each.column)
        elif key and not keys.are_alike(db, column, key):
            wrong = ("unlike", each.table, each.column)
        elif column["numbers"]:
            wrong = ("numbers", each.table, each.column)
        elif not db.primary_key(each.table):
            wrong = ("no_key", each.table)
        elif not has_transactions(column["engine"]):
            wrong = ("engine", each.table, column["engine"])
        elif key_and_child := _kept(db, each, declared):
            wrong = ("kept", each.table, *key_and_child)
        else:
            continue
        found.append(":".join(["further", *wrong]))
    return found


def _kept(db, further, declared: list[dict]) -> tuple:
    """(a foreign key, its table) that keeps rows of a further table, since its own are not deleted
    before; () where none does."""
    before = [each.table.lower() for each in db.name.also]
    before = before[:before.index(further.table.lower()) + 1]
    known = {db.name(name).lower() for name in NAMES if is_queue(name)}
    return next(((key["name"], key["child"]) for key in declared
                 if key["parent"].lower() == further.table.lower()
                 and key["on_delete"] in KEEP
                 and key["child"].lower() not in (*before, *known)), ())
