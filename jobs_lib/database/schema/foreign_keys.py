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


def look(db, names) -> tuple[list[tuple], dict[str, set]]:
    """([(table of ours, act, what, fix), ...], {table of ours: the tables whose rows it shows}).
    `names`: those of ours that are there."""
    if not db.dialect.views:            # of one that leaves foreign keys alone
        return [], {}
    views = {row["name"].lower(): row for row in db.query(db.dialect.views)}
    bases = {name: _bases(db.name(name).lower(), views) for name in names}
    ours = {base: name for name in reversed(tuple(names)) for base in bases[name]}
    found = []
    for key in db.query(db.dialect.foreign_keys, names=list(ours)):
        child, parent = ours.get(key["child"].lower()), ours.get(key["parent"].lower())
        if parent:
            found += [(parent, *each) for each in _harm(db, key, child, parent)]
    return [*found, *_shared(db, views, bases)], bases


def _harm(db, key: dict, child: str | None, parent: str):
    """(act, what, fix) of a foreign key that stands in a job's way. Rows of the tables that the
    jobs know go before those that they refer to. `child`: None of a table that they do not know."""
    name, theirs = f"the foreign key {key['name']} of {key['child']}", db.name(parent)
    if key["on_delete"] in KEEP and child in (None, "users"):
        yield ("delete", f"{name} keeps rows of {theirs} from being deleted",
               "give it ON DELETE SET NULL")
    if key["on_delete"] != "CASCADE":
        return
    if child == "users":
        yield ("delete", f"{name} deletes users with rows of {theirs} (ON DELETE CASCADE)",
               "give it ON DELETE SET NULL")
    elif child in OWNED and (parent not in OWNED or parent == "destinations"):
        yield ("purge", f"{name} deletes its rows with those of {theirs} (ON DELETE CASCADE)",
               "give it ON DELETE SET NULL, or switch off the job that deletes those")


def _shared(db, views: dict, bases: dict):
    """Views of one table through which rows would be deleted that are something else to the jobs,
    too: what an owner has made."""
    for name, shown in bases.items():
        view = views.get(db.name(name).lower(), {"is_updatable": False})
        if not view["is_updatable"] or len(READ.findall(view["text"] or "")) != 1:
            continue
        for other in OWNED:
            if other != name and shown & bases.get(other, set()):
                what = NOT_THROUGH.format(db.name(name), db.name(other))
                yield name, "delete", what, TEMPTABLE


def _bases(name: str, views: dict, seen: tuple = ()) -> set[str]:
    """The tables whose rows a table or view shows. A definition that the user of the jobs may not
    see shows none."""
    if name not in views or name in seen:
        return {name}
    return {base for each in READ.findall(views[name]["text"] or "")
            for base in _bases(each.lower(), views, (*seen, name))}
