"""Imports point one way, from the door down to the ports, and what a driver does stays in `ports/`."""
from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from tests.house.source import imports, is_empty, is_in, modules, where

# From the top. An arrow may skip layers and never turns back. A module that is not named here stands as high
# as the highest one that it imports: it is a leaf when it imports none of these.
ORDER = (
    ("jobs", "jobs_lib.adapters"),
    ("jobs_lib.cli", "jobs_lib.commands"),
    ("jobs_lib.catalogue", "jobs_lib.runner", "jobs_lib.render"),
    ("jobs_lib.jobs",),
    ("jobs_lib.recipes",),
    ("jobs_lib.job", "jobs_lib.context"),
    ("jobs_lib.ports",),
)
DRIVERS = ("sqlite3", "pymysql", "smtplib", "ssl", "http.client", "urllib.request", "dns", "ftplib")


def own(name: str, at_start: bool = False) -> list:
    """The modules of ours that it imports. `jobs_lib` itself holds nothing but the version."""
    return [found for found in imports(name)
            if found.module in modules() and found.module != "jobs_lib" and not is_empty(found.module)
            and (found.at_start or not at_start)]


def layer(name: str) -> int | None:
    named = [number for number, names in enumerate(ORDER) if any(is_in(name, package) for package in names)]
    return named[0] if named else None


def height(name: str, seen: frozenset = frozenset()) -> int:
    """The layer it stands in; of one that is not named, the highest that it reaches."""
    number = layer(name)
    if number is not None or name in seen:
        return len(ORDER) if number is None else number
    return min((height(found.module, seen | {name}) for found in own(name)), default=len(ORDER))


def test_imports_point_down():
    wrong = []
    for name, path in modules().items():
        number = layer(name)
        if number is None:
            continue
        wrong += [f"{where(path, found.line)}: {name} imports {found.module}, which stands above it"
                  for found in own(name) if height(found.module) < number]
    assert not wrong, "\n".join(wrong)


def test_no_job_imports_another():
    wrong = [f"{where(path, found.line)}: {found.module}"
             for name, path in modules().items() if is_in(name, "jobs_lib.jobs")
             for found in own(name) if is_in(found.module, "jobs_lib.jobs")]
    assert not wrong, "\n".join(wrong)


def test_no_module_needs_itself_to_load():
    graph = {name: {found.module for found in own(name, at_start=True)} - {name} for name in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"these load one another: {' -> '.join(error.args[1])}") from None


def test_only_ports_know_a_driver():
    wrong = [f"{where(path, found.line)}: {found.module}" for name, path in modules().items()
             if not is_in(name, "jobs_lib.ports")
             for found in imports(name) if any(is_in(found.module, driver) for driver in DRIVERS)]
    assert not wrong, "\n".join(wrong)
