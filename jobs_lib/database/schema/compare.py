"""A whole database against the tables of this bundle: what it lacks, each with the statements that
fix it.

Also for a database that belongs to an app: `[tables]` and `prefix` are in `db.name`, and an index
of another name with the columns that we need is as good as ours. A view can take the place of a
table of the app's: it has no index, and only its author can add a column to it.
"""
from __future__ import annotations

from . import app_tables, ddl
from .tables import tables


def differences(db) -> list:
    """Every ddl.Difference, table by table; empty for a database that has all that
    the jobs need."""
    views = {name for name, columns in db.catalogue(app_tables.TABLES).items()
             if next(iter(columns.values()))["is_view"]}
    return [difference._replace(statements=()) if table.name in views else difference
            for table in tables() for difference in ddl.differences(db, table)
            if table.name not in views or difference.kind == "column"]
