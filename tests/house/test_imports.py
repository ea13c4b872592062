"""What may import what: downwards only, imports inside functions included, and nothing in a
circle."""
from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from tests.house.source import each, imports, is_empty, is_in, modules, where

# From the top. A package imports itself, what is below it, and nothing else.
LAYERS = (
    ("jobs",),
    ("jobs_lib.cli",),
    ("jobs_lib.commands",),
    ("jobs_lib.launch", "jobs_lib.demo"),
    ("jobs_lib.doctor",),
    ("jobs_lib.workers",),
    ("jobs_lib.crontab",),
    ("jobs_lib.output",),
    ("jobs_lib.jobs",),
    ("jobs_lib.monitoring",),
    ("jobs_lib.features",),
    ("jobs_lib.engines",),
    ("jobs_lib.runner",),
    ("jobs_lib.config",),
    ("jobs_lib.database", "jobs_lib.ports"),
    ("jobs_lib.addresses", "jobs_lib.catalogue", "jobs_lib.clock",
     "jobs_lib.errors", "jobs_lib.folders", "jobs_lib.hostnames",
     "jobs_lib.job",
     "jobs_lib.masking", "jobs_lib.paths", "jobs_lib.plain_json", "jobs_lib.quick_import",
     "jobs_lib.records", "jobs_lib.schedule", "jobs_lib.schedule_text",
     "jobs_lib.text"),
)
LEAVES = LAYERS[-1]
QUEUES = "jobs_lib.features.queues"         # all of them as data
# One feature imports no other, but for these; `items` is how an operator sees the rows of them all.
BESIDE = {
    "jobs_lib.features.accounts": ("jobs_lib.features.exports", "jobs_lib.features.notifications"),
    "jobs_lib.features.domains": ("jobs_lib.features.notifications",),
    "jobs_lib.features.expiry": ("jobs_lib.features.notifications",),
    "jobs_lib.features.exports": ("jobs_lib.features.notifications",),
    "jobs_lib.features.forwards": ("jobs_lib.features.notifications",),
    "jobs_lib.features.items": tuple(f"jobs_lib.features.{name}" for name in (
        "accounts", "domains", "forwards", "notifications", "webhooks")),
    "jobs_lib.features.message_logs": ("jobs_lib.features.usage",),
    "jobs_lib.features.usage": ("jobs_lib.features.notifications",),
    "jobs_lib.features.webhooks": ("jobs_lib.features.notifications",),
}
DRIVERS = ("sqlite3", "pymysql", "smtplib", "ssl", "http.client", "urllib.request", "dns", "ftplib")


def own(name: str, at_start: bool = False) -> list:
    """The modules of ours that it imports. `jobs_lib` itself holds nothing but the version and the
    app's three doors; an empty package is a folder, whose files one may list without depending on
    them."""
    return [found for found in imports(name)
            if found.module in modules() and found.module != "jobs_lib"
            and not is_empty(found.module) and (found.at_start or not at_start)]


def layer(name: str) -> tuple[int, str]:
    """(which layer it is in, the package or leaf of that layer)."""
    found = [(number, package) for number, packages in enumerate(LAYERS) for package in packages
             if is_in(name, package)]
    assert len(found) == 1, f"{name} has no place in LAYERS"
    return found[0]


def package(name: str) -> str:
    """The folder that a module lies in; of a loose one, itself."""
    if modules()[name].name == "__init__.py" or name.count(".") == 1:
        return name
    return name.rpartition(".")[0]


def feature(name: str) -> str:
    return ".".join(name.split(".")[:3])


@each("name", sorted(set(modules()) - {"jobs_lib"}))
def test_imports_point_down(name):
    number, mine = layer(name)
    wrong = []
    for found in own(name):
        other, theirs = layer(found.module)
        down = other > number or (other == number and (theirs == mine or mine in LEAVES))
        if not down:
            wrong.append(f"{where(modules()[name], found.line)}: {found.module} stands above or "
                         "beside it")
    assert wrong == []


def test_every_package_and_leaf_is_there():
    assert [each for layer in LAYERS for each in layer if each not in modules()] == []


def test_one_feature_imports_no_other_but_where_it_is_said():
    met: dict = {}
    for name in modules():
        if is_in(name, "jobs_lib.features") and name != "jobs_lib.features":
            for found in own(name):
                if (is_in(found.module, "jobs_lib.features") and found.module != QUEUES
                        and feature(found.module) != feature(name)):
                    met.setdefault(feature(name), set()).add(feature(found.module))
    assert {name: tuple(sorted(others)) for name, others in met.items()} == BESIDE


def test_no_job_imports_another():
    wrong = [f"{where(path, found.line)}: {found.module}"
             for name, path in modules().items() if is_in(name, "jobs_lib.jobs")
             for found in own(name) if is_in(found.module, "jobs_lib.jobs")]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("what", ["modules", "packages"])
def test_nothing_imports_itself_by_a_detour(what):
    graph: dict = {}
    for name in modules():
        start = name if what == "modules" else package(name)
        for found in own(name):
            end = found.module if what == "modules" else package(found.module)
            if start != end:
                graph.setdefault(start, set()).add(end)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle: {' -> '.join(error.args[1])}") from None


def test_only_ports_and_the_database_know_a_driver():
    wrong = [f"{where(path, found.line)}: {found.module}" for name, path in modules().items()
             if not (is_in(name, "jobs_lib.ports") or is_in(name, "jobs_lib.database"))
             for found in imports(name) if any(is_in(found.module, driver) for driver in DRIVERS)]
    assert not wrong, "\n".join(wrong)
