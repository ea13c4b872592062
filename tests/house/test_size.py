"""jobs_lib stays small enough to be held in mind, and no denser than it is. R86

Each number is a limit, lowered whenever a part has become smaller. Raising one takes a reason.
"""
from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

from tests.house.source import ROOT, imports, modules, tree

# {package: lines}; a package that is not named here may not exist
PACKAGES = {
    "features": 4_967, "engines": 2_285, "database": 2_650, "ports": 1_580, "runner": 1_600,
    "monitoring": 1_500, "commands": 1_860, "(loose)": 930, "config": 950, "jobs": 900,
    "doctor": 830, "output": 620, "demo": 460, "launch": 410, "text": 385, "cli": 310,
    "workers": 260, "crontab": 180}
LINES, STATEMENTS, MODULES, LOOSE = 22_500, 13_069, 200, 10
ARROWS = 120  # which package or loose module imports which other
# What serves tables of an app that existed before, together at most 650 lines.
APP_TABLES = ("database/schema/__init__.py", "database/schema/fit.py",
              "database/schema/keys.py", "database/schema/probe.py")
OTHERS = {"tests": (".py", 28_000), "docs": (".md", 3_900)}
LONGEST = {"config.ini.example": 420, "jobs.py": 50, "install.sh": 400, "CHANGELOG.md": 40,
           "README.md": 120}


def sources() -> dict[Path, str]:
    """The text of each module of jobs_lib."""
    return {path: path.read_text(encoding="utf-8") for name, path in modules().items()
            if name != "jobs"}


def room(name: str) -> str:
    """The package that a module is in; of a loose one, itself."""
    return ".".join(name.split(".")[:2])


def test_each_package_keeps_to_its_limit():  # R86
    lines: Counter = Counter()
    for path, text in sources().items():
        parts = path.relative_to(ROOT / "jobs_lib").parts
        lines[parts[0] if len(parts) > 1 else "(loose)"] += text.count("\n")
    assert {name: (count, PACKAGES.get(name)) for name, count in lines.items()
            if count > PACKAGES.get(name, 0)} == {}
    assert sum(lines.values()) <= LINES


def test_the_whole_keeps_to_its_limits():  # R86
    statements = sum(isinstance(node, ast.stmt) for path in sources()
                     for node in ast.walk(tree(path)))
    assert statements <= STATEMENTS
    assert len(sources()) <= MODULES
    assert sum(path.parent.name == "jobs_lib" for path in sources()) <= LOOSE
    inside = modules().keys() - {"jobs"}
    arrows = {(room(name), room(found.module)) for name in inside for found in imports(name)
              if found.module in inside and room(name) != room(found.module)}
    assert len(arrows) <= ARROWS, sorted(arrows)


def test_what_serves_an_apps_tables_is_small():  # R86
    texts = sources()
    assert sum(texts[ROOT / "jobs_lib" / name].count("\n") for name in APP_TABLES) <= 650


def test_tests_and_docs_keep_to_their_limits():  # R86
    for folder, (ending, limit) in OTHERS.items():
        count = sum(path.read_text(encoding="utf-8").count("\n")
                    for path in (ROOT / folder).rglob("*" + ending))
        assert count <= limit, folder


def test_files_that_people_read_whole_are_short():  # R86
    lengths = {name: (ROOT / name).read_text(encoding="utf-8").count("\n") for name in LONGEST}
    assert {name: count for name, count in lengths.items() if count > LONGEST[name]} == {}


def test_the_code_is_not_denser_than_it_was():  # R86
    """Smaller is no gain where a reader needs longer for a line."""
    lines, filled, statements, comments, definitions = [], [], 0, 0, []
    for path, text in sources().items():
        lines += text.splitlines()
        comments += sum(token.type == tokenize.COMMENT
                        for token in tokenize.generate_tokens(io.StringIO(text).readline))
        for node in ast.walk(tree(path)):
            statements += isinstance(node, ast.stmt)
            if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                definitions.append(ast.get_docstring(node) is not None)
    filled = [len(line) for line in lines if line.strip()]
    assert 100 * statements / len(lines) <= 61
    assert sum(filled) / len(filled) <= 54
    assert 100 * sum(definitions) / len(definitions) >= 75
    assert 100 * comments / len(lines) >= 3.5
    assert max(filled) <= 100
