"""docs/data-model.md, from the tables' own description in schema/."""
from __future__ import annotations

from textwrap import wrap

from docs.generate.docs import GENERATED
from jobs_lib.database.schema import NAMES
from jobs_lib.database.schema.tables import NO_DEFAULT, tables

HEAD = """\
# The data model

Every table that `jobs.py migrate` makes. The web app, the mail hook and the jobs share one
database: [app.md](app.md) has a statement for each table that the app or the hook fills. If your
app already has some of these tables: [adoption.md](adoption.md).

- All times are UTC, to the second, written as `2026-11-24 15:05:00`.
- `0` and `1` stand for no and yes. A status is lower case.
- `= 0`, `= now`, `null`: the column may be left out when a row is written. *written*: by the jobs,
  in a table of the app's.
- There are no foreign keys, since an app's own tables may not allow them; `-> users` names the
  table that a column refers to.

| kind | what it holds | as |
|---|---|---|
| id | whole number, given by the database; in an app's own tables also text | `BIGINT` |
| ref | the `id` of another row; where that is text, it has the same type | `BIGINT` |
| int, big, flag, real | a number; a flag is 0 or 1 | `BIGINT`, ... |
| word, hash; label; path | ASCII, case counts | `VARCHAR(64)`; `(190)`; `(500)` |
| address | an e-mail address or a domain, in lower case | `VARCHAR(254)` |
| name, line | text | `VARCHAR(255)`, `(2000)` |
| text, json, blob | of any length; JSON is written as text | `TEXT`, `BLOB` |
| date, time, now | UTC; `now` left out is the present second | `DATE`, `DATETIME` |
"""
GROUPS = (
    ("Written by the web app and the mail hook", "app", "The jobs work on these."),
    ("Written by the jobs", "bundle",
     ("The app may read them all. It may add rows only to `notifications` and "
     "`notification_optouts`.")),
)
WIDTH = 120
SAME_IN_ALL = {"claim_run": "the run that works on it",
               "uncertain": "1: the attempt is repeated, as its result was lost; 2: was repeated",
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
    lines = [f"### {table.name}", "", table.about]
    plain = []
    for column in table.columns:
        about = SAME_IN_ALL.get(column.name, column.about)
        said = f"`{column.name}` {column.type}{_options(column)}"
        if about:
            lines += _item(f"{said}: {about}")
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
