"""The bundle's own source as tests see it: its modules, their syntax trees, who imports whom."""
from __future__ import annotations

import ast
import tokenize
from collections import namedtuple
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Import = namedtuple("Import", "module line")


@cache
def modules() -> dict[str, Path]:
    """`jobs` and everything in jobs_lib, by dotted name."""
    found = {"jobs": ROOT / "jobs.py"}
    for path in sorted((ROOT / "jobs_lib").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def remarks(path: Path) -> list[tokenize.TokenInfo]:
    """The comments and the docstrings of a file."""
    with path.open("rb") as file:
        return [token for token in tokenize.tokenize(file.readline)
                if token.type == tokenize.COMMENT or (
                    token.type == tokenize.STRING and token.string.startswith(('"""', 'r"""')))]


@cache
def imports(name: str) -> tuple[Import, ...]:
    """Every module that this one imports, ours and others', also inside functions."""
    path = modules()[name]
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [Import(target, node.lineno) for target in _from(name, path, node)]
    return tuple(found)


def _from(name: str, path: Path, node: ast.ImportFrom) -> list[str]:
    base = node.module or ""
    if node.level:
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        base = ".".join(package[:len(package) - node.level + 1] + ([base] if base else []))
    # `from .ports import db` is the module ports.db, `from .ports import Ports` a name in ports.
    submodules = [f"{base}.{alias.name}" for alias in node.names
                  if f"{base}.{alias.name}" in modules()]
    names = [alias for alias in node.names if f"{base}.{alias.name}" not in modules()]
    return submodules + ([base] if names else [])


def is_empty(name: str) -> bool:
    """A package that holds nothing itself: a folder."""
    return all(isinstance(node, ast.Expr) or getattr(node, "module", None) == "__future__"
               for node in tree(modules()[name]).body)


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")
