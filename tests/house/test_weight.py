"""A run that finds nothing to do loads little: no module on its way imports something heavy at its start."""
from __future__ import annotations

import pytest

from tests.house.source import imports, is_in, modules, where

# What `run-due` goes through, as far as no `import` statement at a module's start shows it.
DOORS = ("jobs", "jobs_lib.cli", "jobs_lib.due", "jobs_lib.commands.run_due",
         "jobs_lib.ports.db", "jobs_lib.ports.dialects.sqlite")
HEAVY = ("ssl", "smtplib", "email", "dns", "asyncio", "http", "urllib.request", "logging", "dataclasses",
         "typing", "tempfile", "subprocess", "argparse", "configparser", "json", "zoneinfo", "pathlib",
         "inspect", "enum", "decimal", "uuid", "random", "shutil", "pymysql", "dotenv", "multiprocessing",
         "concurrent", "threading")


def on_the_way() -> set[str]:
    waiting = [name for name in modules() if name in DOORS or is_in(name, "jobs_lib.jobs")]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:depth]) for depth in range(1, len(parts))]     # its packages load first
        waiting += [found.module for found in imports(name) if found.at_start and found.module in modules()]
    return seen


def test_every_door_is_there():
    assert [name for name in DOORS if name not in modules()] == []


@pytest.mark.parametrize("name", sorted(on_the_way()))
def test_nothing_heavy_is_loaded(name):            # R10
    wrong = [f"{where(modules()[name], found.line)}: {found.module}" for found in imports(name)
             if found.at_start and any(is_in(found.module, heavy) for heavy in HEAVY)]
    assert not wrong, "load it inside the function that needs it: " + ", ".join(wrong)
