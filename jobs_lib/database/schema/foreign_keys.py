"""An app's own foreign keys that would delete what a user made along with a row that a job deletes,
or that keep a job from deleting it; also of the tables behind the app's views."""
from __future__ import annotations

import re

# what owners have made: deleted by the app, or with the account
OWNED = ("users", "aliases", "destinations", "domains", "webhooks")
KEEP = ("RESTRICT", "NO ACTION")
NOT_THROUGH = "a row deleted through the view {} is one of {}"
TEMPTABLE = "let no row be deleted through it: CREATE ALGORITHM = TEMPTABLE VIEW"
# the tables that a view reads, as the server stores it: no comma between two of them
READ = re.compile(r"(?:\bfrom|\bjoin)\s*\(*\s*`[^`]+`\.`([^`]+)`(?!\.)", re.IGNORECASE)


def look(db, catalogue: dict) -> tuple[list[tuple], set[str], dict[str, set]]:
    """([(our table, act, what, fix), ...], our tables that any of them refers to, {our table: the
    tables whose rows it shows}). `catalogue`: as Database.catalogue has it."""
    if not db.dialect.views:            # of one that leaves foreign keys alone
        return [], set(), {}
    views = {row["name"].lower(): row for row in db.query(db.dialect.views)}
    bases = {name: _bases(db.name(name).lower(), views) for name in catalogue}
    ours = {base: name for name in reversed(tuple(catalogue)) for base in bases[name]}
    # an alias with a destination in a column of its own is seen to use it
    is_used = bases.get("aliases", set()) & bases.get("alias_destinations", set())
    found: list[tuple] = []
    parents = set()
    for key in db.foreign_keys(list(ours)):
        child, parent = ours.get(key["child"].lower()), ours.get(key["parent"].lower())
        parents |= {name for name in bases if key["parent"].lower() in bases[name]}
        if parent and (act := _act(db, key, child, parent, bool(is_used))):
            found.append((parent, *act))
    return [*found, *_shared(db, views, bases)], parents, bases


def _act(db, key: dict, child: str | None, parent: str, is_used: bool) -> tuple:
    """(act, what, fix) of a foreign key that stands in a job's way; () of the others."""
    name, theirs = f"the foreign key {key['name']} of {key['child']}", db.name(parent)
    # rows of the tables that the jobs know go before those that they refer to
    if key["on_delete"] in KEEP and child in (None, "users"):
        return ("delete", f"{name} keeps rows of {theirs} from being deleted",
                "give it ON DELETE SET NULL" + " or CASCADE" * (child is None))
    along = f"{name} deletes its rows with those of {theirs} (ON DELETE CASCADE)"
    if key["on_delete"] == "CASCADE" and child is None and parent not in OWNED:
        return "note", along, "if a user made them, give it ON DELETE SET NULL"
    if key["on_delete"] != "CASCADE" or child not in OWNED:
        return ()
    if child == "users":
        return ("delete", f"{name} deletes users with rows of {theirs} (ON DELETE CASCADE)",
                "give it ON DELETE SET NULL")
    if parent in OWNED and (parent != "destinations" or (child == "aliases" and is_used)):
        return ()
    return ("purge", along, "give it ON DELETE SET NULL, or switch off the job that deletes those")


def _shared(db, views: dict, bases: dict) -> list[tuple]:
    """Views of one table through which rows would be deleted that are something else to the jobs,
    too: what an owner has made."""
    def is_deleted_through(name: str) -> bool:
        view = views.get(db.name(name).lower())
        return bool(view and view["is_updatable"] and len(READ.findall(view["text"] or "")) == 1)

    return [(name, "delete", NOT_THROUGH.format(db.name(name), db.name(other)), TEMPTABLE)
            for name in bases if is_deleted_through(name)
            for other in OWNED if other != name and bases[name] & bases.get(other, set())]


def _bases(name: str, views: dict, seen: tuple = ()) -> set[str]:
    """The tables whose rows a table or view shows. A definition that the user of the jobs may not
    see shows none."""
    if name not in views or name in seen:
        return {name}
    return {base for each in READ.findall(views[name]["text"] or "")
            for base in _bases(each.lower(), views, (*seen, name))}
