"""A dialect holds words, not rules: outside `database/` nothing asks which engine it is."""
from __future__ import annotations

import ast

from tests.house.source import each, is_in, modules, tree, where

ENGINES = ("mysql", "mariadb", "sqlite")
THEIRS = ("jobs_lib.database",)


def names_an_engine(node: ast.AST) -> bool:
    return any((isinstance(part, ast.Constant) and str(part.value).lower().strip(":/ ") in ENGINES)
               or (isinstance(part, ast.Attribute) and part.attr == "dialect")
               for part in ast.walk(node))


def engine_questions(node: ast.AST):
    """The lines that compare with an engine's name, or ask whether a URL begins with one."""
    for found in ast.walk(node):
        begins = (isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute)
                  and found.func.attr in ("startswith", "endswith"))
        if (begins or isinstance(found, ast.Compare)) and names_an_engine(found):
            yield found.lineno


@each("name", sorted(name for name in modules()
                     if not any(is_in(name, package) for package in THEIRS)))
def test_nobody_outside_the_database_asks_which_engine_it_is(name):
    path = modules()[name]
    assert [where(path, line) for line in engine_questions(tree(path))] == []
