"""All tables as data: one source for both engines, the documents and the tests.

A table is a few lines of text (app_tables.py, own_tables.py): its name and what it holds; then its
columns as `name  type [null | = default] [written] [# meaning]`, several of a kind as `a, b  type`,
`written` where jobs write one of an app's; then `key a, b`, if it has no `id`; then its indexes as
`index name: a, b # what for` or `unique name: a, b`. A dialect turns the type words into its own.
Only who asks for a table reads its text: a run pays nothing for it.

`ref:users:with` is the key of a row of `users`. No foreign keys are declared, since an app may have
none, so this alone says which table refers to which, and what becomes of the row when that other
one is deleted: "with" (deleted too), "stays" (kept and made anonymous), "unset" (kept, and the
column becomes NULL), "later" (its own table's retention removes it; until then it names something
that no longer exists). "past" may name what was deleted long ago; `*` is any table of a queue.
Where its rows are looked for by it, the column begins an index, if need be one of its own.
"""
from __future__ import annotations

import re
from functools import cache

from jobs_lib.records import namedtuple

from . import NAMES, app_tables

Column = namedtuple("Column", "name type null default about written target goes",
                    defaults=("", ""))
Index = namedtuple("Index", "name unique columns")
Table = namedtuple("Table", "name owner about columns key indexes")
Reference = namedtuple("Reference", "table column target goes")

NO_DEFAULT = object()
ID = Column("id", "id", False, NO_DEFAULT, "", False)
PAST = "past"
INDEXED = ("with", "stays", "unset")  # rows are looked for by it when the other one is deleted


@cache
def table(name: str) -> Table:
    """The table's description; KeyError for a name that is not ours."""
    first, *lines = NAMES[name].strip().splitlines()
    columns: list = []
    indexes: list = []
    key: tuple = ()
    for line in lines:
        code, _, about = (part.strip() for part in line.partition("#"))
        word, _, rest = code.partition(" ")
        if word in ("index", "unique"):
            short, _, names = rest.partition(":")
            indexes.append(Index(f"{name}_{short}", word == "unique", _names(names)))
        elif word == "key":
            key = _names(rest)
        else:
            names, _, rest = code.partition("  ")
            columns += [_column(each, rest.strip(), about) for each in _names(names)]
    begun = {key[:1], *(index.columns[:1] for index in indexes)}
    for column in columns:
        if column.goes in INDEXED and (column.name,) not in begun:
            short = column.name[:-len("_id")]
            indexes.append(Index(f"{name}_{short}", False, (column.name,)))
    owner = "app" if name in app_tables.TABLES else "bundle"
    return Table(name, owner, first.partition(": ")[2], (*(() if key else (ID,)), *columns),
                 key or ("id",), tuple(indexes))


def tables() -> list:
    """All of them, the app's first."""
    return [table(name) for name in NAMES]


def references() -> list:
    """What each table refers to, but for what may be long past."""
    return [Reference(each.name, column.name, column.target, column.goes)
            for each in tables() for column in each.columns
            if column.target and column.goes != PAST]


def words_of(column) -> list[str]:
    """The words that a column has, as its description lists them: `forward, reply, send`."""
    listed = column.type == "word" and re.fullmatch(r"[a-z_]+(, [a-z_]+)+", column.about)
    return column.about.split(", ") if listed else []


def _names(text: str) -> tuple:
    return tuple(name.strip() for name in text.split(","))


def _column(name: str, rest: str, about: str) -> Column:
    kind, _, option = rest.partition(" ")
    kind, *refers = kind.split(":")
    option, written = option.strip(), option.endswith("written")
    option = option[:-len("written")].strip() if written else option
    default = NO_DEFAULT
    if option.startswith("="):
        word = option[1:].strip().strip("'")
        default = int(word) if word.isdigit() else word
    return Column(name, kind, option == "null", default, about, written, *refers)
