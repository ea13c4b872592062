"""The database of an app that was there before: its tables have other names, and so has each of
their columns."""
from __future__ import annotations

import re
from functools import lru_cache

from tests.support.product import (
    Names,
    Statement,
    app_tables,
    connect,
    ddl,
    scan,
    table,
    words_of,
    works_on,
    written,
)

TABLES = {name: f"app_{name}" for name in app_tables.TABLES}
COLUMNS = {name: {column.name: f"its_{column.name}" for column in table(name).columns}
           for name in TABLES}


def otherwise(dialect) -> tuple[dict, dict]:
    """An app that stores the same in other ways: times as seconds since 1970, words as numbers,
    booleans as letters. (`columns` as `[columns]` has them, `types` of those columns for `make`.)
    """
    read, write = {"sqlite": ("datetime({0}, 'unixepoch')",
                              "CAST(strftime('%s', :value) AS INTEGER)"),
                   "mysql": ("FROM_UNIXTIME({0})", "UNIX_TIMESTAMP(:value)")}[dialect.name]
    columns: dict = {name: dict(renamed) for name, renamed in COLUMNS.items()}
    types: dict = {}
    for name in TABLES:
        for column in table(name).columns:
            theirs, words = f"its_{column.name}", words_of(column)
            if column.type in ("time", "now"):
                found, sets, kind = read.format(theirs), write, "BIGINT"
            elif column.type == "flag":
                found = f"CASE {theirs} WHEN 'y' THEN 1 WHEN 'n' THEN 0 END"
                sets = "CASE WHEN :value <> 0 THEN 'y' ELSE 'n' END"
                kind = f"CHAR(1) DEFAULT '{'y' if column.default else 'n'}'"
            elif words:
                pairs = [(f"'{word}'", at) for at, word in enumerate(words, 1)]
                found = " ".join([f"CASE {theirs}", *(f"WHEN {at} THEN {word}"
                                                      for word, at in pairs), "END"])
                sets = " ".join(["CASE :value", *(f"WHEN {word} THEN {at}"
                                                  for word, at in pairs), "END"])
                kind = f"SMALLINT DEFAULT {dict(pairs).get(repr(column.default), 'NULL')}"
            else:
                continue
            columns[name][column.name] = f"{found}\n    write {theirs} = {sets}"
            types[f"{name}.{column.name}"] = kind
    return columns, types


def make(url: str, lacking: tuple = (), types: dict | None = None,
         columns: dict | None = None) -> str:
    """Make the app's tables, all but the tables and `table.column`s that it lacks; the URL.

    `types`: the database's words for some of our kinds of columns, where the app has taken others;
    `columns`: {table.column: the whole declaration} of single ones.
    """
    db = connect(url, create=True, tables=TABLES, columns=COLUMNS)
    before = dict(db.dialect.types)
    db.dialect.types.update(types or {})
    for _, sql in creating(db, lacking, columns or {}):
        db.execute(sql)
    db.dialect.types.update(before)
    db.close()
    return url


def creating(db, lacking: tuple, columns: dict):
    """(our table, a statement that makes it), in order."""
    for name in TABLES:
        if name in lacking:
            continue
        whole = table(name)
        there = tuple(column for column in whole.columns
                      if f"{name}.{column.name}" not in lacking)
        has = {column.name for column in there}
        indexes = tuple(index for index in whole.indexes if has.issuperset(index.columns))
        for sql in ddl.create_table(db, whole._replace(columns=there, indexes=indexes)):
            for column in there:
                if other := columns.get(f"{name}.{column.name}"):
                    quoted = db.dialect.quote(f"its_{column.name}")
                    sql = re.sub(rf"(?m)^  {quoted} .*?(,?)$", rf"  {quoted} {other}\1", sql)
            yield name, sql


class _Listening(Names):
    """Hears which columns a statement names."""

    def __init__(self) -> None:
        super().__init__("", TABLES, COLUMNS)
        self.heard: set = set()

    def column(self, table: str, name: str) -> str:
        """Keep it."""
        if table in TABLES:
            self.heard.add(f"{table}.{name}")
        return super().column(table, name)

    def ours(self, table: str) -> dict:
        """`SELECT *` names them all."""
        for name in COLUMNS.get(table, ()):
            self.column(table, name)
        return super().ours(table)


@lru_cache(None)
def _named(sql: str, dialect) -> frozenset[str]:
    names = _Listening()
    Statement(sql, dialect, names)
    return frozenset(names.heard.union(piece for kind, piece in scan(sql) if kind == "table"
                                       and piece in TABLES))


def named(statements, dialect) -> set[str]:
    """`table` and `table.column` of the app's that these statements name."""
    return {name for sql in set(statements) for name in _named(sql, dialect)}


def needed(job) -> set[str]:
    """The same of all that the job says it works on."""
    return {name for table, work in works_on(job).items()
            for name in (table, *(f"{table}.{column}" for column in work.columns))}


CHANGES = re.compile(r"\s*(UPDATE|INSERT INTO|DELETE FROM) \{(\w+)\}(.*)", re.DOTALL)


@lru_cache(None)
def _changed(sql: str) -> frozenset[str]:
    found = CHANGES.match(sql)
    if not found or found[2] not in TABLES:
        return frozenset()
    what, table, rest = found.groups()
    if what == "DELETE FROM":
        return frozenset({f"-{table}"})
    if what == "INSERT INTO":
        names = re.match(r" \(([^)]*)\)", rest)[1]
        return frozenset({f"+{table}", *(f"{table}.{name}" for name in re.findall(r"\w+", names))})
    names, depth, text = set(), 0, rest.partition(" SET ")[2]
    for piece in re.split(r"([(),]| WHERE |CASE | END)", text):
        depth += (piece in ("(", "CASE ")) - (piece in (")", " END"))
        if piece == " WHERE " and not depth:
            break
        if not depth and (named := re.match(r"\s*[`\"\[]?(\w+)[`\"\]]?\s*=", piece)):
            names.add(f"{table}.{named[1]}")
    return frozenset(names)


def changed(statements) -> set[str]:
    """`table.column` that these statements write; `+table` and `-table` where they add and delete
    rows."""
    return {name for sql in set(statements) for name in _changed(sql)}


SET = re.compile(r"\b(\w+) = (:\w+|'[^']*')(?=,| WHERE |$)")


@lru_cache(None)
def _given(sql: str) -> tuple:
    """(table, column, what it is given: :name or 'text') of a statement that writes."""
    found = CHANGES.match(sql)
    if not found or found[2] not in TABLES or found[1] == "DELETE FROM":
        return ()
    what, table, rest = found.groups()
    if what == "UPDATE":
        return tuple((table, *pair) for pair in SET.findall(rest))
    names, _, rows = rest.partition(" VALUES ")
    names = re.findall(r"\w+", names)
    return tuple((table, name, value) for row in re.findall(r"\(([^()]*)\)", rows)
                 for name, value in zip(names, row.split(", ")))


def unlisted(sql: str, values: dict, dialect) -> set[str]:
    """What a statement writes into the app's tables that written.py knows nothing of. Where a
    column takes any value, a domain may have any length, and so have its results."""
    return {f"{name}.{column} = {str(value)[:80]!r}" for name, column, text in _given(sql)
            if not _is_listed(name, column, dialect.any_type, value := (
                values[text[1:]] if text[0] == ":" else text.strip("'")))}


def _is_listed(name: str, column: str, any_length: bool, value) -> bool:
    type, words, longest, largest = _listed(name, column)
    if value is None or type in ("id", "ref", "time", "now"):
        return True
    if words:
        return value in words
    if isinstance(value, str):
        return len(value) <= longest or any_length
    return column not in written.LARGEST or value <= largest


@lru_cache(None)
def _listed(name: str, column: str) -> tuple:
    """(type, words, length of the longest text, largest) of what written.py has for a column."""
    ours = next(each for each in table(name).columns if each.name == column)
    known = [each for each in written.values(name, ours) if each is not None]
    return (ours.type, written.words(name, ours),
            max((len(each) for each in known if isinstance(each, str)), default=0),
            max(known) if column in written.LARGEST else None)


def changes(job) -> set[str]:
    """The same of what the job says that it does."""
    return {name for table, work in works_on(job).items()
            for name in (*(f"{table}.{column}" for column in work.written),
                         *([f"+{table}"] if work.inserts else []),
                         *([f"-{table}"] if work.deletes else []))}


def ini(url: str, others: dict | None = None) -> str:
    """A configuration that names all of it; `others`: {table.column: what [columns] has instead}.
    """
    return "\n".join([
        "[core]", f"database = {url}", "state_dir = state", "log_dir = log", "[spool]",
        "dir = spool", "[mail]", "host = 127.0.0.1", "security = none", "domain = service.example",
        "[tables]", *(f"{ours} = {theirs}" for ours, theirs in TABLES.items()), "[columns]",
        *(f"{name}.{ours} = {(others or {}).get(f'{name}.{ours}', theirs)}"
          for name, renamed in COLUMNS.items() for ours, theirs in renamed.items())]) + "\n"
