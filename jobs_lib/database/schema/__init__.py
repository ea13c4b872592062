"""The tables of the database, and the steps that make them. Here only their names, which each run
needs."""
from __future__ import annotations

from . import app_tables, own_tables

# name -> its description, for database/schema/tables.py
NAMES = {**app_tables.TABLES, **own_tables.TABLES}
