"""The tests know the product by its contract: what they use of its inside has its place in
tests/support/product.py, the only door. Files of before stand in inside.txt, each with the packages
that it waits for, and none is added: what is rebuilt leaves the list with the commit that does so.

    python3 -m tests.house.test_door        writes the list again, without what has left it
"""
from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("inside.txt")
DOOR = "tests/support/product.py"
# Nothing of these stands in the list: the tests' own tools, and what judges the product.
CLEAN = ("tests/support/", "tests/simulation/", "tests/servers/", "tests/every_job/",
         "tests/operator/", "tests/conftest.py")


def inside(path: Path) -> list[str]:
    """The packages and loose modules of the product that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names
                  if name.startswith("jobs_lib.") and name.count(".")}
    return sorted(found)


def now() -> dict[str, list[str]]:
    """{file: what it imports} of all that import anything."""
    files = {str(path.relative_to(ROOT)): path for path in (ROOT / "tests").rglob("*.py")}
    return {name: found for name, path in sorted(files.items())
            if name != DOOR and (found := inside(path))}


def listed() -> dict[str, list[str]]:
    """The same of inside.txt."""
    lines = [line.partition(": ") for line in LIST.read_text().splitlines()]
    return {name: packages.split() for name, _, packages in lines}


def test_no_file_knows_more_of_the_inside_than_it_did():
    known = listed()
    assert {name: sorted(set(found) - set(known.get(name, ()))) for name, found in now().items()
            if not set(found) <= set(known.get(name, ()))} == {}


def test_the_tools_of_the_tests_and_what_judges_know_nothing():
    assert [name for name in (*now(), *listed()) if name.startswith(CLEAN)] == []


if __name__ == "__main__":
    known, left = listed() if LIST.exists() else {}, now()
    LIST.write_text("".join(
        f"{name}: {' '.join(package for package in found if package in known.get(name, found))}\n"
        for name, found in left.items() if not known or name in known))
