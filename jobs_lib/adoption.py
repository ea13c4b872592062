"""Which jobs the gaps in an app's tables concern: those refuse before they touch anything, the others run.

What a job works on is read off the source of its module and of all that it reaches in jobs_lib/ and its recipes. That
is only done where something is missing: all other runs know from `meta` that nothing is.
"""
from __future__ import annotations

import re
import sys
from collections import namedtuple
from functools import lru_cache
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from . import jobs, recipes
from .errors import JobsError
from .job import LAST
from .schema import adoption
from .schema.version import complete
from .shards import whole

IMPORT = re.compile(r"^ *(?:from [.\w]+ )?import .*?(?:\)|[^,(\\]$)", re.MULTILINE | re.DOTALL)
# Who goes over tables by a list may work on each of them.
EVERY = re.compile(r"\btables\(\)|schema import .*\bNAMES\b|\bREFERENCES\b|\breferences import|import references")
TABLE = re.compile(r"(?:[{\"']|^ +)(\w+)(?:[}\"']| +\w+:)", re.MULTILINE)       # in SQL, as a word, in a list's line
WORD = re.compile(r"\w+")
SPOOL = "spool"              # every purge reaches its recipe, and only one with files goes into it
MOST = 4                     # tables named in the sentence

Read = namedtuple("Read", "imports tables words every")          # of a module's text; every: of all tables


class Incomplete(JobsError):
    """The app's tables lack something that this job needs; nothing was done."""


def need(db, job, store: bool = True) -> None:
    """Raise Incomplete when the job needs what is missing. `store`: what was found out may be written down."""
    look = adoption.note if store else adoption.lacking
    first, *names = adoption.noted(db).split() or [""]
    if first != complete(db.name):
        names = look(db)
    elif concerned(job, names):
        names = look(db)                    # it may be there by now
    missing = concerned(job, names)
    if missing:
        raise Incomplete(f"nothing was done: {words(db.name, missing)}. `jobs.py migrate --own-tables` prints the "
                         "statements that add what is missing")


def concerned(job, names: list[str]) -> list[str]:
    """Those of `names` (a table, or table.column) that the job may touch."""
    if not names or job.priority == LAST:         # which looks at all others, and leaves out what is not there
        return []
    tables, said = set(), set()
    for module in _reached(job):
        read = _read(module)
        if read.every:
            return names
        tables |= read.tables
        said |= read.words
    return [name for name in names if name.partition(".")[0] in tables and name.rpartition(".")[2] in said]


def _reached(job) -> set[str]:
    """The job's module and everything that it reaches."""
    spool = SPOOL in job.sections and getattr(job.run, "files", True)
    waiting, seen = [f"{jobs.__name__}.{whole(job.name)}"], set()
    while waiting:
        name = waiting.pop()
        if name not in seen and (spool or name != _modules().get(SPOOL)):
            seen.add(name)
            waiting += _read(name).imports
    return seen


@lru_cache(None)
def _modules() -> dict[str, str]:
    """{short name: module} of what a job may reach."""
    return {module.name: f"{package.__name__}.{module.name}" for package in (sys.modules[__package__], recipes)
            for module in iter_modules(package.__path__) if not module.ispkg}


@lru_cache(None)
def _read(name: str) -> Read:
    """What is in a module; one that has no text to read stands for every table."""
    loader: Any = getattr(find_spec(name), "loader", None)
    text = loader.get_source(name) if hasattr(loader, "get_source") else None
    if text is None:
        return Read([], set(), set(), True)
    return Read([_modules()[word] for line in IMPORT.findall(text) for word in WORD.findall(line)
                 if word in _modules()], set(TABLE.findall(text)), set(WORD.findall(text)), bool(EVERY.search(text)))


def words(names, missing: list[str]) -> str:
    """`the database has no table overflow; members lacks mail, size`."""
    gone = [names(name) for name in missing if "." not in name]
    parts = [f"the database has no table {', '.join(gone)}"] if gone else []
    columns: dict = {}
    for name in missing:
        table, dot, column = name.partition(".")
        if dot:
            columns.setdefault(table, []).append(names.column(table, column))
    parts += [f"the table {names(table)} has no {', '.join(found)}" for table, found in columns.items()]
    more = f", and {len(parts) - MOST} more tables lack something" if len(parts) > MOST else ""
    return "; ".join(parts[:MOST]) + more
