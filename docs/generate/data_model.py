"""docs/data-model.md, from the tables' own description in schema/."""
from __future__ import annotations

from docs.generate.docs import GENERATED
from jobs_lib.database.schema.references import REFERENCES
from jobs_lib.database.schema.tables import NO_DEFAULT, tables

HEAD = """\
# The data model

Every table that `jobs.py migrate` makes, what its columns mean, and what each index is for.

The web app, the mail hook and the jobs share one database. Your app may already have some of these
tables: then `[tables]` and `[columns]` in `config.ini` map our names to yours
([adoption.md](adoption.md)), and `jobs.py migrate --own-tables` leaves out those that the app
writes. [mail.md](mail.md#what-the-mail-hook-writes) says how the mail hook fills `failed_emails`.

- All times are UTC, to the second, written as `2026-11-24 15:05:00`. `DATETIME` on both engines.
- `0` and `1` stand for no and yes. A status is lower case.
- A column that has a default, or that may be NULL, may be left out when a row is written.
- There are no foreign keys, since an app's own tables may not allow them. *Refers to* below names
  the other table.
- A job may be killed at any time; the meaning of each column holds at every moment.
"""
TYPES = (
    ("id", "whole number, given by the database; in an app's own tables also text",
     "`INTEGER PRIMARY KEY`", "`BIGINT AUTO_INCREMENT`"),
    ("ref", "the `id` of another row; where that is text, it has the same type", "`BIGINT`",
     "`BIGINT`"),
    ("int, big, flag", "whole number; a flag is 0 or 1", "`INTEGER`, `BIGINT`, `TINYINT`",
     "`INT`, `BIGINT`, `TINYINT`"),
    ("real", "number with a fraction", "`DOUBLE`", "`DOUBLE`"),
    ("word, hash", "ASCII, at most 64 characters, case counts", "`VARCHAR(64)`",
     "`VARCHAR(64)` `ascii_bin`"),
    ("label", "ASCII, at most 190 characters, case counts", "`VARCHAR(190)`",
     "`VARCHAR(190)` `ascii_bin`"),
    ("path", "ASCII, at most 500 characters, case counts", "`VARCHAR(500)`",
     "`VARCHAR(500)` `ascii_bin`"),
    ("address", "an e-mail address or a domain, in lower case", "`VARCHAR(254)`", "`VARCHAR(254)`"),
    ("name, line", "text of at most 255 or 2,000 characters", "`VARCHAR`", "`VARCHAR`"),
    ("text, json", "text of any length; JSON is written as text", "`TEXT`", "`MEDIUMTEXT`"),
    ("blob", "bytes", "`BLOB`", "`MEDIUMBLOB`"),
    ("date, time", "UTC", "`DATE`, `DATETIME`", "`DATE`, `DATETIME`"),
    ("now", "a time; left out, it is the present second in UTC", "`DATETIME`",
     "`DATETIME`; before MySQL 8.0.13 the writer must give it"),
)
# What the jobs of this version read or write. tests/house/test_docs.py compares it with their
# statements.
GROUPS = (
    ("Written by the web app and the mail hook", "app",
     "The jobs work on these."),
    ("Written by the jobs", "bundle",
     ("The app may read them all. It may add rows only to `notifications` and "
     "`notification_optouts`.")),
)
SAME_IN_ALL = ("claim_token", "claim_run", "lease_until")


def data_model_page() -> str:
    """docs/data-model.md, as Markdown."""
    lines = [GENERATED, "", *HEAD.rstrip("\n").split("\n"), "", "## Kinds of columns", "",
             "| kind | what it holds | SQLite | MySQL, MariaDB |", "|---|---|---|---|",
             *(f"| {' | '.join(row)} |" for row in TYPES)]
    for title, owner, about in GROUPS:
        lines += ["", f"## {title}", "", about]
        for table in tables():
            if table.owner == owner:
                lines += ["", *_table(table)]
    return "\n".join(lines) + "\n"


def _table(table) -> list[str]:
    lines = [f"### {table.name}", "", table.about, "", "| column | kind | default | meaning |",
             "|---|---|---|---|"]
    lines += [f"| `{column.name}` | {column.type} | {_default(column)} | {_meaning(table, column)} "
              "|" for column in table.columns]
    if table.key != ("id",):
        lines += ["", f"Primary key: {_names(table.key)}."]
    if table.indexes:
        lines += ["", "| index | on | what it is for |", "|---|---|---|"]
        lines += [f"| `{index.name}`{', unique' if index.unique else ''} | {_names(index.columns)} "
                  f"| {_cell(index.purpose)} |" for index in table.indexes]
    return lines


def _default(column) -> str:
    if column.null:
        return "NULL"
    if column.type == "now":
        return "now"
    if column.default is NO_DEFAULT:
        return "" if column.type == "id" else "must be given"
    return f"`{column.default}`" if column.default != "" else "empty"


def _meaning(table, column) -> str:
    about = column.about
    if column.name in SAME_IN_ALL:
        about = {"claim_token": "which claim holds the row", "claim_run": "the `run_id` of the run "
                 "that holds it",
                 "lease_until": "when the claim expires, if that run's host is lost"}[column.name]
    targets = [f"refers to [`{found.target}`](#{found.target})" for found in REFERENCES
               if (found.table, found.column) == (table.name, column.name)]
    return _cell("; ".join(part for part in (about, *targets) if part))


def _names(names) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("<>", "`<>`")
