"""Which tables of a server the app's views read: a row that is deleted through a view of one table
is a row of that table."""
from __future__ import annotations

import re

# as the server stores a view: every table with its database
READ = re.compile(r"(?:\bfrom|\bjoin|,)\s*\(*\s*`([^`]+)`\.`([^`]+)`(?!\.)", re.IGNORECASE)


def is_view(columns: dict | None) -> bool:
    """Whether that is one, by what the catalogue has of its columns; not what is not there."""
    return next(iter(columns.values()))["is_view"] if columns else False


def bases(db, catalogue: dict) -> dict[str, set[str]]:
    """{our table: the `database.table`s, in lower case, whose rows it shows}; {} where none of
    these is a view. A definition that the user of the jobs may not see shows none."""
    if not db.dialect.views or not any(map(is_view, catalogue.values())):
        return {}
    texts: dict = {}
    for schema in db.name.by_schema(catalogue):
        texts.update({f"{row['place']}.{row['name']}".lower(): row["text"]
                      for row in db.query(db.dialect.views, schema=schema)})
    here = db.value("SELECT DATABASE()")

    def below(place: str, seen: tuple = ()) -> set[str]:
        if place not in texts or place in seen:
            return {place}
        return {base for match in READ.finditer(texts[place] or "")
                for base in below(".".join(match.groups()).lower(), (*seen, place))}

    return {name: below((db.name(name) if "." in db.name(name) else
                         f"{here}.{db.name(name)}").lower()) for name in catalogue}
