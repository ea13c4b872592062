"""All tables as data: one source for both engines, the documents and the tests.

A table is a few lines of text (app_tables.py, own_tables.py): what it holds; then its columns as
`name type [null | = default] [written] [# meaning]`, `written` where jobs write one of an app's;
then `key a, b` (primary key, unless there is an `id`), and `index name: a, b # what for` or `unique
name: a, b # what for`. A dialect turns the type words into its own. Only who asks for a table reads
its text: a run pays nothing for it.
"""
from __future__ import annotations

import re
from functools import cache

from jobs_lib.records import namedtuple

from . import NAMES, app_tables

Column = namedtuple("Column", "name type null default about written")
Index = namedtuple("Index", "name unique columns purpose")
Table = namedtuple("Table", "name owner about columns key indexes")

NO_DEFAULT = object()


def table(name: str) -> Table:
    """The table's description; KeyError for a name that is not ours."""
    return _read(name, NAMES[name])


@cache
def _read(name: str, text: str) -> Table:
    """It is asked for again and again: for each kind of data of each export."""
    lines = [line.strip() for line in text.strip().splitlines()]
    columns: list = []
    indexes: list = []
    key: tuple = ("id",)
    for line in lines[1:]:
        code, _, about = (part.strip() for part in line.partition("#"))
        word, _, rest = code.partition(" ")
        if word in ("index", "unique"):
            short, _, names = rest.partition(":")
            indexes.append(Index(f"{name}_{short}", word == "unique", _names(names), about))
        elif word == "key":
            key = _names(rest)
        else:
            columns.append(_column(word, rest.strip(), about))
    owner = "app" if name in app_tables.TABLES else "bundle"
    return Table(name, owner, lines[0], tuple(columns), key, tuple(indexes))


def column_names(name: str) -> list[str]:
    """The names of the table's columns alone: a run on renamed ones asks for many tables."""
    words = (line.split(None, 1)[0] for line in NAMES[name].strip().splitlines()[1:])
    return [word for word in words if word not in ("index", "unique", "key")]


def words_of(column) -> list[str]:
    """The words that a column has, as its description lists them: `forward, reply, send`."""
    listed = column.type == "word" and re.fullmatch(r"[a-z_]+(, [a-z_]+)+", column.about)
    return column.about.split(", ") if listed else []


def tables() -> list:
    """All of them, the app's first."""
    return [table(name) for name in NAMES]


def _names(text: str) -> tuple:
    return tuple(name.strip() for name in text.split(","))


def _column(name: str, rest: str, about: str) -> Column:
    kind, _, option = rest.partition(" ")
    option, written = option.strip(), option.endswith("written")
    option = option[:-len("written")].strip() if written else option
    default = NO_DEFAULT
    if option.startswith("="):
        word = option[1:].strip().strip("'")
        default = int(word) if word.isdigit() else word
    return Column(name, kind, option == "null", default, about, written)
