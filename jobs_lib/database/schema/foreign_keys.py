"""What an app's own foreign keys say of the names in [tables] and [columns], and what they do when
a job deletes rows."""
from __future__ import annotations

from . import views
from .references import REFERENCES, targets
from .tables import is_queue

# what owners have made: deleted by the app, or with the account
OWNED = ("users", "aliases", "destinations", "domains", "webhooks")
KEEP = ("RESTRICT", "NO ACTION")


def look(db, catalogue: dict, bases: dict) -> list[tuple]:
    """(our table, our column or "", kind, the rest) of each finding, as misfits.py makes a code of
    it. `bases`: as views.py has them."""
    keys, ours = db.foreign_keys(catalogue), _ours(db, catalogue)
    # an alias with a destination in a column of its own is seen to use it
    is_used = bases.get("aliases", set()) & bases.get("alias_destinations", set())
    emptied = {each.table.lower() for each in db.name.also}
    found: list[tuple] = []
    for key in keys:
        child, parent = ours.get(key["child"].lower()), ours.get(key["parent"].lower())
        more = (key["name"], key["child"])
        if parent and key["on_delete"] in KEEP:
            # rows of the tables that the jobs know go before those that they refer to
            if not child:
                is_emptied = key["child"].lower() in emptied and not is_queue(parent)
                found.append((parent, "", "kept", *more, *(["also"] if is_emptied else [])))
            elif child == "users":
                found.append((parent, "", "held", *more))
        if child in OWNED and parent and takes(db, key, child, parent):
            if child == "users":
                found.append((parent, "", "uproots", *more))
            elif parent not in OWNED or (parent == "destinations"
                                         and not (child == "aliases" and is_used)):
                found.append((parent, "", "takes", *more))
        if child and len(key["columns"]) == 1:
            found += _elsewhere(db, catalogue, keys, key, child)
    return found


def cascades(db, keys: list[dict], works: dict, is_account: bool) -> list[str]:
    """Tables whose rows the app's own foreign keys delete with those that a job deletes, and that
    it does not delete itself. `keys`: Database.foreign_keys of all tables; `works`: {table: its
    Work}; `is_account`: it deletes whatever belongs to an account."""
    ours, itself = _ours(db, works), {each.table.lower() for each in db.name.also if is_account}
    found = set()
    for key in keys:
        child, parent = ours.get(key["child"].lower()), ours.get(key["parent"].lower())
        if (parent and works[parent].deletes and takes(db, key, child, parent)
                and not (is_account and (child or key["child"].lower() in itself))):
            found.add(key["child"])
    return sorted(found)


def takes(db, key: dict, child: str | None, parent: str) -> bool:
    """Whether it deletes rows that our own list of references would not delete then."""
    columns = {column.lower() for column in key["columns"]}
    return key["on_delete"] == "CASCADE" and not any(
        child and (each.table, each.target, each.goes) == (child, parent, "with")
        and db.name.column(child, each.column).lower() in columns for each in REFERENCES)


def _ours(db, tables) -> dict:
    """{a table in the database, in lower case: ours}."""
    return {db.name(name).lower(): name for name in tables}


def _elsewhere(db, catalogue: dict, keys: list[dict], key: dict, child: str):
    """Where a column that is ours to refer to one table refers to another."""
    theirs = key["columns"][0].lower()
    column = db.name.ours(child).get(theirs, theirs)
    for target in targets(child, column):
        columns = catalogue.get(target, {})
        if "id" not in columns or views.is_view(columns):
            continue
        place, id = db.name(target).lower(), columns["id"]["name"].lower()
        there = key["parent"].lower(), key["keys"][0] and key["keys"][0].lower()
        if not any(_leads(each, db.name(child).lower(), theirs, place, id)
                   # or one of the two tables has a row of the other for each of its own
                   or _leads(each, place, id, *there) or _leads(each, *there, place, id)
                   for each in keys):
            yield child, column, "elsewhere", ".".join(
                filter(None, [key["parent"], key["keys"][0]])), db.name.shown(target, "id")


def _leads(key: dict, child: str, column: str | None, parent: str, to: str | None) -> bool:
    """Whether a foreign key of one column refers from there to there. None: the primary key."""
    return (key["child"].lower() == child and key["parent"].lower() == parent
            and len(key["columns"]) == 1 and column in (None, key["columns"][0].lower())
            and (to is None or key["keys"][0] is None or key["keys"][0].lower() == to.lower()))
