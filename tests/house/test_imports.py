"""What may import what: downwards only, imports inside functions included, and nothing in a
circle."""
from __future__ import annotations

from graphlib import TopologicalSorter

from tests.house.source import imports, is_empty, is_in, modules, where

# From the top. A package imports itself, what is below it, and nothing else.
LAYERS = (
    ("jobs",),
    ("jobs_lib.cli",),
    ("jobs_lib.commands",),
    ("jobs_lib.launch", "jobs_lib.demo"),
    ("jobs_lib.doctor",),
    ("jobs_lib.crontab",),
    ("jobs_lib.output",),
    ("jobs_lib.jobs",),
    ("jobs_lib.monitoring",),
    ("jobs_lib.features",),
    ("jobs_lib.engines",),
    ("jobs_lib.runner",),
    ("jobs_lib.config",),
    ("jobs_lib.database", "jobs_lib.ports", "jobs_lib.workers"),
    ("jobs_lib.catalogue", "jobs_lib.clock", "jobs_lib.errors", "jobs_lib.folders",
     "jobs_lib.quick_import", "jobs_lib.records", "jobs_lib.schedule", "jobs_lib.text"))
LEAVES = LAYERS[-1]
FEATURES = "jobs_lib.features."
# What every feature may import beside it (`queues` has all of them as data), and what some may;
# `items` is how an operator sees the rows of them all.
FOR_ALL = {"notifications", "queues"}
BESIDE = {("accounts", "exports"), ("items", "accounts"), ("items", "domains"),
          ("message_logs", "rollup")}
DRIVERS = ("sqlite3", "pymysql", "smtplib", "ssl", "http.client", "urllib.request", "dns", "ftplib")


def own(name: str) -> list:
    """The modules of ours that it imports. `jobs_lib` itself holds nothing but the version and the
    app's three doors; an empty package is a folder, whose files one may list without depending on
    them."""
    return [found for found in imports(name) if found.module in modules()
            and found.module != "jobs_lib" and not is_empty(found.module)]


def layer(name: str) -> tuple[int, str]:
    """(which layer it is in, the package or leaf of that layer)."""
    found = [(number, package) for number, packages in enumerate(LAYERS) for package in packages
             if is_in(name, package)]
    assert len(found) == 1, f"{name} has no place in LAYERS"
    return found[0]


def wrong(is_wrong) -> list[str]:
    """The imports of ours, or of others', of which `is_wrong(importer, imported)`."""
    return [f"{where(path, found.line)}: {found.module}" for name, path in modules().items()
            if name != "jobs_lib" for found in imports(name) if is_wrong(name, found.module)]


def test_imports_point_down():
    def is_up(name: str, target: str) -> bool:
        if target not in [found.module for found in own(name)]:
            return False
        (number, mine), (other, theirs) = layer(name), layer(target)
        return other < number or (other == number and theirs != mine and mine not in LEAVES)
    assert wrong(is_up) == []
    assert [each for layer in LAYERS for each in layer if each not in modules()] == []


def test_one_feature_imports_no_other_but_where_it_is_said():
    met = {(name.split(".")[2], found.module.split(".")[2]) for name in modules()
           for found in own(name)
           if name.startswith(FEATURES) and found.module.startswith(FEATURES)}
    assert {(mine, theirs) for mine, theirs in met
            if mine != theirs and theirs not in FOR_ALL} == BESIDE


def test_no_job_imports_another_and_only_ports_and_the_database_know_a_driver():
    assert wrong(lambda name, target: is_in(name, "jobs_lib.jobs") and name != "jobs_lib.jobs"
                 and target.startswith("jobs_lib.jobs.")) == []
    assert wrong(lambda name, target: not name.startswith(("jobs_lib.ports", "jobs_lib.database"))
                 and any(is_in(target, driver) for driver in DRIVERS)) == []


def test_nothing_imports_itself_by_a_detour():
    def package(name: str) -> str:
        """The folder that a module is in; of a loose one, itself."""
        if modules()[name].name == "__init__.py" or name.count(".") == 1:
            return name
        return name.rpartition(".")[0]

    for of in (str, package):
        graph: dict = {}
        for name in modules():
            for found in own(name):
                if of(name) != of(found.module):
                    graph.setdefault(of(name), set()).add(of(found.module))
        TopologicalSorter(graph).prepare()          # CycleError names the circle
