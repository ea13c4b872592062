"""Which jobs the gaps in an app's tables concern: those refuse before they touch anything, the others run.

What a job works on is read off the source of its module and of all that it reaches in jobs_lib/ and its recipes. That
is only done where something is missing: all other runs know from `meta` that nothing is.
"""
from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from . import jobs, recipes
from .errors import JobsError
from .job import LAST
from .schema import adoption
from .schema.version import complete

IMPORT = re.compile(r"^ *(?:from [.\w]+ )?import .*?(?:\)|[^,(\\]$)", re.MULTILINE | re.DOTALL)
# Who goes over tables by a list may work on each of them.
EVERY = re.compile(r"\btables\(\)|schema import .*\bNAMES\b|\bREFERENCES\b|\breferences import|import references")
TABLE = re.compile(r"(?:[{\"']|^ +)(\w+)(?:[}\"']| +\w+:)", re.MULTILINE)       # in SQL, as a word, in a list's line
WORD = re.compile(r"\w+")
SPOOL = "spool"              # every purge reaches its recipe, and only one with files goes into it
MOST = 4                     # tables named in the sentence


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
    text = "\n".join(_sources(job))
    if EVERY.search(text):
        return names
    tables, words = set(TABLE.findall(text)), set(WORD.findall(text))
    return [name for name in names if name.partition(".")[0] in tables and name.rpartition(".")[2] in words]


def _sources(job) -> list[str]:
    """The text of the job's module and of everything that it reaches."""
    known = {module.name: f"{package.__name__}.{module.name}" for package in (sys.modules[__package__], recipes)
             for module in iter_modules(package.__path__) if not module.ispkg}
    waiting, texts, seen = [f"{jobs.__name__}.{job.name}"], [], set()
    spool = SPOOL in job.sections and getattr(job.run, "files", True)
    while waiting:
        name = waiting.pop()
        short = name.rpartition(".")[2]
        if name in seen or (short == SPOOL and not spool):
            continue
        seen.add(name)
        text = _source(name)
        texts.append(text)
        waiting += [known[word] for line in IMPORT.findall(text)
                    for word in WORD.findall(line) if word in known]
    return texts


def _source(name: str) -> str:
    """A module's text; of one that has none to read, what stands for every table."""
    loader: Any = getattr(find_spec(name), "loader", None)
    text = loader.get_source(name) if hasattr(loader, "get_source") else None
    return "tables()" if text is None else text


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
