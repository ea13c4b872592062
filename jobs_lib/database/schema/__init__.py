"""The tables of the database, and the steps that make them. Here only their names, and what can be
a name: each run needs these."""
from __future__ import annotations

from . import app_tables, own_tables

# name -> its description, for database/schema/tables.py
NAMES = {**app_tables.TABLES, **own_tables.TABLES}


def is_word(name: str) -> bool:
    """Whether it can be a name in SQL without quotes."""
    return name.isascii() and name.isidentifier()
