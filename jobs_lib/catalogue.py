"""Which jobs there are: the files in `jobs/`. The file name is the name everywhere."""
from __future__ import annotations

import os

from .errors import JobsError, UsageError
from .job import Job

# a folder of plug-ins: named, and not imported, since those import what loads them
JOBS = f"{__package__}.jobs"


def names() -> list[str]:
    """Every job's name, sorted; no module is loaded for it."""
    return modules(__import__(JOBS, fromlist=["__path__"]).__path__)


def load(name: str) -> Job:
    """The job of that name, importing its module alone.

    Raises UsageError, with the nearest name, if there is none, and JobsError for a file that cannot
    be loaded.
    """
    if name not in names():
        from .text import did_you_mean
        raise UsageError(f"there is no job {name!r}{did_you_mean(name, names())} (`jobs.py list` "
                         "shows every job)")
    return _load(name)


def _load(name: str) -> Job:
    try:
        module = __import__(f"{JOBS}.{name}", fromlist=["job"])
        doc = (module.__doc__ or "").strip()
        return module.job._replace(name=name, doc=doc, summary=doc.partition("\n")[0].rstrip("."))
    except Exception as error:              # half an upload can break a file in any way
        raise JobsError(f"the job {name} cannot be loaded: {type(error).__name__}: {error}. Upload "
                        f"jobs_lib/jobs/{name}.py again, or remove it") from error


def load_all(broken: list[str] | None = None) -> list[Job]:
    """Every job, by name. A file that cannot be loaded stops none of the others if there is a list
    `broken`, which gets the error's message."""
    found = []
    for name in names():
        try:
            found.append(_load(name))
        except JobsError as error:
            if broken is None:
                raise
            broken.append(str(error))
    return found


def modules(folders) -> list[str]:
    """The names of the modules in a package's folders, sorted; none of them is loaded."""
    found: list[str] = []
    for folder in folders:
        found += [file[:-3] for file in os.listdir(folder)
                  if file.endswith(".py") and file[:-3].isidentifier()]
    return sorted(name for name in found if not name.startswith("_"))
