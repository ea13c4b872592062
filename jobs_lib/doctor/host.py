"""The machine and the program on it: Python, packages, whether the upload is whole, what a process
may use."""
from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import resource
import sys
from collections import namedtuple

import jobs_lib
from jobs_lib import paths
from jobs_lib.database import dialects
from jobs_lib.errors import DatabaseError, JobsError
from jobs_lib.output.findings import note, ok, problem, run, warning

from .writable import run_as

Package = namedtuple("Package", "module name least purpose needed surely")
Package.__doc__ = "`needed`: whether this installation may need it; `surely`: whether it does, so that it is a problem."
# bytes: a run needs about 30 MB, sending large messages a little more
LEAST_MEMORY = 128 * 1024 ** 2
LEAST_CPU = 60                           # seconds
AGAIN = "Upload jobs.py and the whole folder jobs_lib again."


def python(patient):
    """Which Python, and as whom."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield ok(f"jobs.py {paths.VERSION}, Python {version} ({sys.executable})")
    if user := run_as(patient.config, patient.home):
        yield warning(f"This installation belongs to user {user.name}, and this is root",
                      "What root runs leaves files that the jobs of that user cannot use, and "
                      "whether they may read and write everything shows only when they ask.",
                      run(f"Run everything as {user.name}:", user.command("doctor")))
    elif os.geteuid() == 0:
        yield note("This is root, who may read and write everything",
                   "What the user of your cron line may do shows only when that one asks",
                   "Run `jobs.py doctor` as that user.")


def upload(patient):
    """Every module of the bundle is whole and can be loaded, so none is of another version."""
    cut, names = _cut_off(), sorted(_modules())
    for path in cut:
        yield problem(f"{path} is cut off", "What needs this file fails, or does half of its work.",
                      AGAIN)
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            if (error.name or "").startswith("jobs_lib"):
                # else a package that not everybody needs
                yield _broken(name, str(error))
        except JobsError:                       # the same, said by the module itself
            pass
        except Exception as error:                              # noqa: BLE001  half a file may do anything
            yield _broken(name, f"{type(error).__name__}: {error}")
    for words in patient.broken:
        yield problem(words, "This job does not run.", AGAIN)
    yield ok(f"{len(names)} modules and {len(patient.jobs)} jobs can be loaded")


def _cut_off() -> list[str]:
    """The files that do not end with a line end, as all of ours do. Within a .pyz there is nothing
    to look at."""
    found = []
    for folder, _, files in os.walk(jobs_lib.__path__[0]):
        for name in sorted(files):
            path = os.path.join(folder, name)
            if name.endswith(".py") and os.path.getsize(path):
                with open(path, "rb") as file:
                    file.seek(-1, os.SEEK_END)
                    if file.read() not in (b"\n", b"\r"):
                        found.append(path)
    return found


def _modules():
    for found in pkgutil.walk_packages(jobs_lib.__path__, "jobs_lib."):
        if not found.name.endswith("__main__") and not found.name.startswith("jobs_lib.jobs."):
            yield found.name


def _broken(name: str, why: str):
    return problem(f"{name.replace('.', '/')}.py cannot be loaded: {why}",
                   "The upload was cut off, or holds files of two versions: whatever needs this "
                   "file fails.",
                   AGAIN)


def packages(patient):
    """What this installation needs besides Python is there, and new enough."""
    for package in PACKAGES:
        if not package.needed(patient):
            continue
        mend = run("Install it (without a shell: docs/install.md, The bundle):",
                   f"{sys.executable} -m pip install {package.name}")
        version = _version(package.name)
        if not _is_there(package.module):
            say = problem if package.surely(patient) else note
            yield say(f"{package.name} is not installed", f"It is needed for {package.purpose}.",
                      mend)
        elif version and _numbers(version) < package.least:
            least = ".".join(map(str, package.least))
            yield warning(f"{package.name} {version} is older than {least}",
                          "It was written for that one and later.", mend.replace("pip install",
                                                                                 "pip install "
                                                                                 "--upgrade"))
        else:
            yield ok(f"{package.name} {version or 'is there'}")


def _needs_driver(patient) -> bool:
    url = patient.section("core").database
    try:
        return dialects.load(url).package == "PyMySQL"
    except DatabaseError:               # just because it is not there
        return not patient.is_wrong("core", "database")


def _has_dotenv(patient) -> bool:
    path = os.path.join(patient.config.folder, ".env")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "JOBS_" in file.read()
    except OSError:
        return False


def _checks_domains(patient) -> bool:
    return patient.enabled("check_domains")


def _asks_dns(patient) -> bool:
    """Domains may be there too: doctor/dns.py looks, since the database may not answer."""
    return patient.is_set("dns")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # copied into vendor/ without its description
        return None


def _numbers(version: str) -> tuple:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())


def limits(patient):
    """What the host lets one process use, as far as it is told."""
    seconds = resource.getrlimit(resource.RLIMIT_CPU)[0]
    if seconds != resource.RLIM_INFINITY:
        say = warning if seconds < LEAST_CPU else note
        yield say(f"A process may use {seconds} seconds of processor time here (ulimit -t)",
                  "Then it is killed. A run mostly waits for others, so this lasts longer than it "
                  "sounds.", "Set [core] budget to about that time if runs are killed.")
    memory = resource.getrlimit(resource.RLIMIT_AS)[0]
    if memory != resource.RLIM_INFINITY:
        megabytes = memory // 1024 ** 2
        mend = run("Let a run stop in time:", "[core]", f"memory = {max(megabytes * 3 // 4, 32)}MB")
        say = warning if memory < LEAST_MEMORY and patient.section("core").memory is None else note
        yield say(f"A process may use {megabytes} MB of memory here (ulimit -v)",
                  "A run that needs more fails.", mend)


PACKAGES = (Package("pymysql", "PyMySQL", (1, 0, 2), "a mysql:// database", _needs_driver,
                    _needs_driver), Package("dotenv", "python-dotenv", (0, 20),
                                            "the settings in .env", _has_dotenv, _has_dotenv),
            Package("dns", "dnspython", (2, 2),
                    "check_domains, once users have domains of their own", _checks_domains,
                    _asks_dns))
CHECKS = (python, upload, packages, limits)
