"""Further tables of an app's in an export: their columns are read from the catalogue, and those
whose names say that they hold a secret are left out."""
from __future__ import annotations

import re
from functools import partial

from jobs_lib.database.schema.further import Further
from jobs_lib.records import namedtuple

from .columns import KINDS

# In a column's name: anyone who has such a value gets in, or can try to.
SECRET = re.compile(r"passw|passphrase|pwd|secret|token|hash|salt|nonce|cipher|credential|csrf"
                    r"|(^|_)(key|keys|pin|pass|otp|totp|hmac|iv|seed)($|_)|(recovery|backup)_?code")
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")            # apiKey is api_key


class Kind(namedtuple("Kind", "name further about columns key")):
    """One such table, as columns.Kind: `columns` are exported, `key` is its primary key."""

    @property
    def table(self) -> str:
        """Its name in the database."""
        return self.further.table

    @property
    def order(self) -> tuple:
        """By which columns it is read."""
        return self.key

    def number(self, db, user_id) -> int:
        """How many rows a user has."""
        return self.further.number(db, [user_id])

    def pages(self, db, user_id, fitting):
        """Lists of rows. `fitting` says how many to read, by the columns that may be long."""
        table, owner = self.further.where(db)
        read = dict.fromkeys((*self.columns, *self.key))
        for page in db.pages(f"SELECT {', '.join(map(db.dialect.exact, read))} FROM {table} "
                             f"WHERE {owner} = :user", key=self.key, name=db.dialect.exact,
                             size=partial(fitting, list(read)), user=user_id):
            yield [{column: row[column] for column in self.columns} for row in page]


def kinds(db) -> list[Kind]:
    """Of each table that `[delete_accounts] also` names."""
    taken, found = {kind.name for kind in KINDS}, []
    for further in db.name.also:
        name = further.table.replace(".", "_")
        while name in taken:
            name = f"app_{name}"
        taken.add(name)
        found.append(Kind(name, further, f"your rows of {further.table}", _columns(db, further),
                          tuple(db.primary_key(further.table))))
    return found


def _columns(db, further: Further) -> tuple:
    return tuple(column for column in db.column_names(further.table)
                 if column.lower() != further.column.lower() and not is_secret(column))


def is_secret(column: str) -> bool:
    """Whether a column's name says that its values are nobody's to have in a file."""
    return bool(SECRET.search(HUMP.sub("_", column).lower()))
