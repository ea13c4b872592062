"""What the port costs a run that finds nothing to do: it loads little more than sqlite3 does by
itself."""
from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
sys.path.insert(0, ".")
import os, sqlite3
from jobs_lib import clock, errors
before = set(sys.modules)
from jobs_lib.database.connection import connect
db = connect("sqlite:///" + sys.argv[1], create=True)
from jobs_lib.database.schema import NAMES
db.query("SELECT name FROM sqlite_master WHERE name = :name AND type IN (:types)",
         name="x", types=["table"])
print(*sorted(set(sys.modules) - before))
"""


def loaded(code, *arguments):
    command = [sys.executable, "-I", "-S", "-c", code, *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return set(found) - set(sys.builtin_module_names)       # those are in the interpreter itself


def test_sqlite_loads_nothing_beyond_our_own_modules(tmp_path):
    # R10: `re`, `typing`, `logging`, `urllib`, `importlib` would each cost more than all of ours.
    # Of the two that are left out, 3.12 and newer have loaded those at their start.
    assert loaded(LOADED, str(tmp_path / "jobs.db")) - {"functools", "types"} == {
        "jobs_lib.database", "jobs_lib.database.connection", "jobs_lib.database.statement",
        "jobs_lib.database.transaction", "jobs_lib.folders",
        "jobs_lib.database.dialects", "jobs_lib.database.dialects.base",
        "jobs_lib.database.dialects.sqlite", "jobs_lib.database.dialects.urls",
        "jobs_lib.database.schema", "jobs_lib.database.schema.app_tables",
        "jobs_lib.database.schema.own_tables", "jobs_lib.records"}
