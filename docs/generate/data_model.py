"""docs/data-model.md, from the tables' own description in schema/."""
from __future__ import annotations

from textwrap import wrap

from docs.generate.docs import GENERATED
from jobs_lib.database.schema import NAMES
from jobs_lib.database.schema.tables import NO_DEFAULT, tables

HEAD = """\
# The data model

For the developer of the web app and the mail hook: every table that `jobs.py migrate` creates. The
app, the hook and the jobs share one database. [app.md](app.md) has a statement for each table that
you fill. If your app already has some of these tables: [adoption.md](adoption.md).

- Each column has a type, and perhaps a default. If it has one (`= 0`, `= now`, `null`), an INSERT
  may leave the column out.
- *written*: the jobs change this column of a table of yours.
- `-> users`: the column refers to a row of that table. There are no foreign keys, since the tables
  of an app may not allow them.
- Times are UTC, to the second, written as `2026-11-24 15:05:00`. A status is in lower case.

| type | what it holds | in MySQL |
|---|---|---|
| id | a whole number that the database assigns; in an app's own tables also text | `BIGINT` |
| ref | the `id` of another row; if that is text, of the same type | `BIGINT` |
| int, big, real | a number | `INTEGER`, `BIGINT`, `DOUBLE` |
| flag | 0 for no, 1 for yes | `TINYINT` |
| word, hash; label; path | ASCII, case-sensitive | `VARCHAR(64)`; `(190)`; `(500)` |
| address | an e-mail address or a domain, in lower case | `VARCHAR(254)` |
| name, line | text | `VARCHAR(255)`, `(2000)` |
| text, json, blob | of any length; JSON is written as text | `MEDIUMTEXT`, `MEDIUMBLOB` |
| date, time | a day, a time | `DATE`, `DATETIME` |
| now | a time; its default is the present second | `DATETIME` |
"""
GROUPS = (
    ("Written by the web app and the mail hook", "app", "The jobs read and change these tables."),
    ("Written by the jobs", "bundle",
     ("Your app may read all of them. It may add rows only to `notifications` and "
     "`notification_optouts`.")),
)
WIDTH = 120
SAME_IN_ALL = {"claim_run": "the run that works on it",
               "uncertain": "1: its result was lost, so it is repeated; 2: it was repeated",
               "lease_until": "when the run counts as dead, if its host is lost"}


def data_model_page() -> str:
    """docs/data-model.md, as Markdown."""
    lines = [GENERATED, "", *HEAD.rstrip("\n").split("\n")]
    for title, owner, about in GROUPS:
        lines += ["", f"## {title}", "", about]
        for table in tables():
            if table.owner == owner:
                lines += ["", *_table(table)]
    return "\n".join(lines) + "\n"


def _table(table) -> list[str]:
    """Its columns, one a line where there is something to say, the others together; its indexes."""
    lines = [f"### {table.name}", table.about]
    plain = []
    for column in table.columns:
        about = SAME_IN_ALL.get(column.name, column.about)
        said = f"`{column.name}` {column.type}{_options(column)}"
        if about:
            lines += _item(f"{said} ({about})")
        else:
            plain.append(said)
    if plain:
        lines += _item("; ".join(plain))
    if table.key != ("id",):
        lines += _item(f"key: {', '.join(table.key)}")
    if table.indexes:
        lines += _item("indexes: " + "; ".join(
            f"{', '.join(index.columns)}{' (unique)' if index.unique else ''}"
            for index in table.indexes))
    return lines


def _options(column) -> str:
    given = " null" if column.null else " = now" if column.type == "now" else (
        "" if column.default is NO_DEFAULT else f" = {column.default}" if column.default != ""
        else " = ''")
    refers = f" -> {column.target}" if column.target in NAMES else ""
    return given + refers + (", *written*" if column.written else "")


def _item(text: str) -> list[str]:
    return wrap(text.replace("<>", "`<>`"), WIDTH, initial_indent="- ", subsequent_indent="  ",
                break_long_words=False, break_on_hyphens=False)
