"""Each job is one file with one name, and has a test file of its own."""
from __future__ import annotations

import ast

import pytest

from tests.house.source import ROOT, modules, tree

JOBS = sorted(name.rpartition(".")[2] for name in modules() if name.startswith("jobs_lib.jobs."))

VERBS = ("purge", "expire", "retry", "send", "check", "rollup", "export", "delete", "archive")


def test_each_job_has_a_test_file_and_each_test_file_a_job():
    """A job's further tests are named after it: test_retry_forwards.py, test_retry_forwards_kill.py."""
    files = {path.stem[len("test_"):] for path in (ROOT / "tests" / "jobs").glob("test_*.py")}
    assert [name for name in JOBS if name not in files] == []
    assert [file for file in files if not any(is_of(file, name) for name in JOBS)] == []


def is_of(file: str, name: str) -> bool:
    return file == name or file.startswith(f"{name}_")


@pytest.mark.parametrize("name", JOBS)
def test_a_job_module_exposes_its_job_alone(name):
    defined = set()
    for node in tree(modules()[f"jobs_lib.jobs.{name}"]).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    assert {word for word in defined if not word.startswith("_") and not word.isupper()} == {"job"}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_named_verb_first_and_says_what_it_does_in_a_line(name):
    assert name.partition("_")[0] in VERBS
    first = (ast.get_docstring(tree(modules()[f"jobs_lib.jobs.{name}"])) or "").partition("\n")[0]
    assert 0 < len(first) < 72
