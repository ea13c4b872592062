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

import jobs_lib
from jobs_lib.database import dialects
from jobs_lib.errors import DatabaseError, JobsError, NotInstalled
from jobs_lib.output.findings import Finding, note, ok, problem, run, warning
from jobs_lib.paths import HOME, VERSION, way_to
from jobs_lib.records import namedtuple

from .writable import run_as

Package = namedtuple("Package", "module name least word purpose missing")
Package.__doc__ = """`word`: of `./install.sh --with`. `missing`: how bad it would be here if it
were missing: `problem`, `note`, or None where it is not needed."""
# bytes: a run needs about 30 MB, sending large messages a little more
LEAST_MEMORY = 128 * 1024 ** 2
LEAST_CPU = 60                           # seconds
AGAIN = ("Delete the folder jobs_lib first, so that no file of another version stays. Then upload "
         "jobs.py and the whole folder jobs_lib again.")
WITHOUT_A_SHELL = "Without a shell: docs/install.md, The bundle."


def python(installation):
    """Which Python runs this, and as which user."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield ok(f"jobs.py {VERSION}, Python {version} ({sys.executable})")
    of_another = another_users(installation.config, "doctor", installation.home)
    yield from of_another
    if os.geteuid() == 0 and not of_another:
        yield note("This is root, which may read and write everything",
                   "Whether the user of your cron line may, only a check by that user shows.",
                   "Run `jobs.py doctor` as that user.")


def another_users(config, command: str, home: str = HOME) -> list[Finding]:
    """A warning when root looks at the installation of another user, who should run `command`."""
    user = run_as(config, home)
    return [] if user is None else [
        warning(f"This installation belongs to user {user.name}, and this is root",
                "What root runs leaves files that the jobs of that user cannot use, and whether "
                "they may read and write everything shows only when they try.",
                run(f"Run everything as {user.name}:", user.command(command)))]


def upload(installation):
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
        except JobsError:               # the module itself says which package it needs
            pass
        except Exception as error:      # noqa: BLE001  half a file may do anything
            yield _broken(name, f"{type(error).__name__}: {error}")
    for words in installation.broken:
        yield problem(words, "This job does not run.", AGAIN)
    yield ok(f"{len(names)} modules and {len(installation.jobs)} jobs can be loaded")


def _cut_off() -> list[str]:
    """The files that do not end with a line end, as all of ours do."""
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


def packages(installation):
    """What this installation needs besides Python is there, and new enough."""
    for package in PACKAGES:
        say = package.missing(installation)
        if say is None:
            continue
        version = _version(package.name)
        way = f"{way_to(package.name, package.word)}. {WITHOUT_A_SHELL}"
        if not _is_there(package.module):
            yield say(f"{package.name} is not installed", f"It is needed for {package.purpose}.",
                      way[:1].upper() + way[1:])
        elif version and _numbers(version) < package.least:
            least = ".".join(map(str, package.least))
            yield warning(f"{package.name} {version} is older than {least}",
                          "The jobs were written for that one and later.",
                          f"Get a newer one: {way}")
        else:
            yield ok(f"{package.name} {version or 'is there'}")


def _for_mysql(installation):
    url = installation.section("core").database
    try:
        needed = dialects.load(url).package == "PyMySQL"
    except NotInstalled:
        needed = True
    except DatabaseError:               # reported with the configuration
        needed = False
    return problem if needed else None


def _for_dotenv(installation):
    path = os.path.join(installation.config.folder, ".env")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return problem if "JOBS_" in file.read() else None
    except OSError:
        return None


def _for_domains(installation):
    """Domains may be there although [dns] says nothing: doctor/dns.py looks, since the database may
    not answer."""
    if not installation.enabled("check_domains"):
        return None
    return problem if installation.is_set("dns") else note


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


def limits(installation):
    """What the host lets one process use, as far as it says."""
    seconds = resource.getrlimit(resource.RLIMIT_CPU)[0]
    if seconds != resource.RLIM_INFINITY:
        say = warning if seconds < LEAST_CPU else note
        yield say(f"A process may use {seconds} seconds of processor time here (ulimit -t)",
                  "Then it is killed. A run mostly waits for others, so this lasts longer than it "
                  "sounds.", "Set [core] budget to about that time if runs are killed.")
    memory = resource.getrlimit(resource.RLIMIT_AS)[0]
    if memory != resource.RLIM_INFINITY:
        megabytes = memory // 1024 ** 2
        fix = run("Let a run stop in time:", "[core]", f"memory = {max(megabytes * 3 // 4, 32)}MB")
        unlimited = installation.section("core").memory is None
        say = warning if memory < LEAST_MEMORY and unlimited else note
        yield say(f"A process may use {megabytes} MB of memory here (ulimit -v)",
                  "A run that needs more fails.", fix)


PACKAGES = (
    Package("pymysql", "PyMySQL", (1, 0, 2), "mysql", "a mysql:// database", _for_mysql),
    Package("dotenv", "python-dotenv", (0, 20), "", "the settings in .env", _for_dotenv),
    Package("dns", "dnspython", (2, 2), "domains",
            "check_domains, once users have domains of their own", _for_domains))
CHECKS = (python, upload, packages, limits)
