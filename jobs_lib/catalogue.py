"""Which jobs there are: the files in `jobs/`. The file name is the name everywhere."""
from __future__ import annotations

import os

from . import commands as command_modules
from . import jobs
from .errors import UsageError
from .job import Job


def names() -> list[str]:
    """Every job's name, sorted; no module is loaded for it."""
    return _modules(jobs.__path__)


def load(name: str) -> Job:
    """The job of that name, importing its module alone. UsageError, with the nearest name, if there is none."""
    if name not in names():
        from .spelling import did_you_mean
        raise UsageError(f"there is no job or command {name!r}{did_you_mean(name, names() + commands())}"
                         " (`jobs.py list` shows every job)")
    module = __import__(f"{jobs.__name__}.{name}", fromlist=["job"])
    doc = (module.__doc__ or "").strip()
    return module.job._replace(name=name, doc=doc, summary=doc.partition("\n")[0].rstrip("."))


def load_all() -> list[Job]:
    """Every job, by name."""
    return [load(name) for name in names()]


def commands() -> list[str]:
    """The commands beside the jobs, as they are typed."""
    return [name.replace("_", "-") for name in _modules(command_modules.__path__)]


def command(name: str):
    """The module of a command."""
    return __import__(f"{command_modules.__name__}.{name.replace('-', '_')}", fromlist=["run"])


def _modules(folders) -> list[str]:
    found: list[str] = []
    for folder in folders:
        try:
            files = os.listdir(folder)
        except NotADirectoryError:          # inside a .pyz
            from pkgutil import iter_modules
            files = [module.name + ".py" for module in iter_modules([folder])]
        found += [file[:-3] for file in files if file.endswith(".py") and not file.startswith("_")]
    return sorted(found)
