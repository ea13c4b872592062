"""Which tables of a server the app's views read: a row that is deleted through a view of one table
is a row of that table."""
from __future__ import annotations

import re

from jobs_lib.records import namedtuple

# as the server stores a view: every table with its database, and no comma between two of them
READ = re.compile(r"(?:\bfrom|\bjoin)\s*\(*\s*`([^`]+)`\.`([^`]+)`(?!\.)", re.IGNORECASE)


def is_view(columns: dict | None) -> bool:
    """Whether that is one, by what the catalogue has of its columns; not what is not there."""
    return next(iter(columns.values()))["is_view"] if columns else False


Views = namedtuple("Views", "bases deletable")
Views.__doc__ = """What there is to know of views.

bases      {our table: the `database.table`s, in lower case, whose rows it shows}
deletable  our tables that are a view of one table, whose rows are deleted through it
"""


def look(db, catalogue: dict) -> Views:
    """Both of these tables; without any view among them, nothing. A definition that the user of the
    jobs may not see shows no table."""
    if not db.dialect.views or not any(map(is_view, catalogue.values())):
        return Views({}, set())
    found: dict = {}
    for schema in db.name.by_schema(catalogue):
        found.update({f"{row['place']}.{row['name']}".lower(): row
                      for row in db.query(db.dialect.views, schema=schema)})
    here = db.value("SELECT DATABASE()")
    places = {name: (db.name(name) if "." in db.name(name) else f"{here}.{db.name(name)}").lower()
              for name in catalogue}

    def reads(place: str) -> list[str]:
        return [".".join(match.groups()).lower()
                for match in READ.finditer(found[place]["text"] or "")]

    def below(place: str, seen: tuple = ()) -> set[str]:
        if place not in found or place in seen:
            return {place}
        return {base for each in reads(place) for base in below(each, (*seen, place))}

    return Views({name: below(place) for name, place in places.items()},
                 {name for name, place in places.items() if place in found
                  and found[place]["is_updatable"] and len(reads(place)) == 1})
