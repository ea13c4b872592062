"""What is wrong in the configuration: each finding keeps something from running."""
from __future__ import annotations

import os
import re
from contextlib import suppress

from jobs_lib.config import path_checks, settings
from jobs_lib.config.loader import Config
from jobs_lib.config.separate_folders import DATABASE, misplaced
from jobs_lib.errors import ConfigError, DatabaseError, NotInstalled
from jobs_lib.output.findings import Finding, problem, run
from jobs_lib.paths import program


def mistakes(config: Config, jobs: list) -> list[Finding]:
    """One finding for each mistake, in every section and job."""
    found: list[str] = []
    try:
        config.check(jobs)
    except ConfigError as error:
        found = list(error.problems)
    found += path_checks.wrong(config)
    for check in (_database, _folders, _status):
        with suppress(ConfigError):         # a section that cannot be read: reported above
            found += check(config)
    return [problem(text, "What needs this section does not run.", _fix(config, text))
            for text in found]


def _fix(config: Config, text: str) -> str:
    """Where it is corrected, by the sentence's own option and place."""
    named = re.match(r"\[(\w+)\] ([\w.]+) =", text)
    if "environment variable " in text:
        return "Correct that variable, or remove it, where the jobs are started."
    if not named:
        return f"Correct it in {config.path}; `jobs.py config check` looks at all of it again."
    return run("Correct it there, or by this, which checks the value:",
               f"{program(config.path)} config set {named[1]}.{named[2]} VALUE")


def missing_package(config: Config) -> str:
    """What the database of this configuration needs and this Python has not, and how to get it; or
    "". It is no mistake in a file."""
    from jobs_lib.database import dialects

    try:
        dialects.load(config.section("core").database)
    except NotInstalled as error:
        return str(error)
    except (ConfigError, DatabaseError):
        pass
    return ""


def _database(config: Config):
    """The URL as its dialect reads it, and whether it has such locks; nothing is connected."""
    from jobs_lib.database import dialects

    core = config.section("core")
    try:
        dialects.target(core.database, config.folder)
    except NotInstalled:                     # missing_package
        return
    except DatabaseError as error:
        yield str(error)
        return
    if core.lock != "file" and not dialects.load(core.database).named_locks:
        place = config.written("core", "lock", settings.SECTIONS["core"]["lock"]).place
        yield (f"[core] lock = {core.lock!r}: this database has no locks of that kind; expected "
               f"file ({place})")


def _folders(config: Config):
    """A folder from which files are removed, and that something else uses too; each pair once."""
    from jobs_lib.database import dialects

    files = [(DATABASE, dialects.file_of(config.section("core").database, config.folder)),
             ("the configuration", os.path.abspath(config.path))]
    stores = [misplaced(config.section, "archive", "store", files),
              misplaced(config.section, "export", "dir", files)]
    yield from filter(None, stores if any(stores) else [misplaced(config.section, "spool", "dir",
                                                                  files)])


def _status(config: Config):
    """A page that would replace something else."""
    from jobs_lib.monitoring.publish import refusal

    path = config.section("status").page
    if path and (why := refusal(config, "page", path)):
        yield f"[status] page = {path}: {why}"
