"""What every file keeps to: Python 3.9, clean shell scripts, no question
which engine it is; and what the tests may know of the inside."""
from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from jobs_lib import catalogue, schedule
from tests.house.source import ROOT, is_in, modules, remarks, tree, where
from tests.support.require import missing, program

TESTS = sorted((ROOT / "tests").rglob("*.py"))
OURS = sorted([*modules().values(), *TESTS])
NAMED = re.compile(r"(?<![\w*./-])(?:[\w.]+/)*(\w+\.py)\b")
ENGINES = ("mysql", "mariadb", "sqlite")
VERBS = ("purge", "expire", "retry", "send", "check", "rollup", "export", "delete", "archive")
# The only door from the tests to the inside of the product. Files that use other parts of it are
# in inside.txt, each with what it uses, and none is added.
DOOR, INSIDE = "tests/support/product.py", ROOT / "tests" / "house" / "inside.txt"
# Never in that list: the tests' own tools, and what judges the product.
CLEAN = ("tests/support/", "tests/simulation/", "tests/servers/", "tests/every_job/",
         "tests/conftest.py")


def test_the_files_and_requirements_that_a_remark_names_are_there():
    names = {path.name for path in OURS} | {path.name for path in (ROOT / "docs").rglob("*.py")}
    listed = set(re.findall(r"(?m)^- \*\*(R\d+)\*\* ",
                            (ROOT / "tests/REQUIREMENTS.md").read_text(encoding="utf-8")))
    proven, wrong = set(), []
    for path in OURS:
        for token in remarks(path):
            wrong += [f"{where(path, token.start[0])}: {name}"
                      for name in NAMED.findall(token.string) if name not in names]
            proven |= set(re.findall(r"\bR\d{1,2}\b", token.string)) if path in TESTS else set()
    assert wrong == []
    assert proven == listed


@pytest.mark.slow
def test_the_code_runs_on_python_3_9():
    if find_spec("vermin") is None:
        missing("vermin is not installed (requirements-dev.txt)")
    run = subprocess.run([sys.executable, "-c", "import vermin; vermin.main()", "--target=3.9-",
                          "--no-tips", "--violations", "jobs.py", "jobs_lib"], cwd=ROOT,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_nobody_outside_the_database_asks_which_engine_it_is():
    """A dialect holds words, not rules."""
    def asks(node: ast.AST) -> bool:
        begins = (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
                  and node.func.attr in ("startswith", "endswith"))
        return (begins or isinstance(node, ast.Compare)) and any(
            (isinstance(part, ast.Constant) and str(part.value).lower().strip(":/ ") in ENGINES)
            or (isinstance(part, ast.Attribute) and part.attr == "dialect")
            for part in ast.walk(node))
    assert [where(path, node.lineno) for name, path in modules().items()
            if not is_in(name, "jobs_lib.database")
            for node in ast.walk(tree(path)) if asks(node)] == []


def test_shell_scripts_are_clean():
    for script in ("install.sh", ".ci/run"):
        run = subprocess.run([program("shellcheck", "shellcheck"), str(ROOT / script)],
                             capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        assert b"\r" not in (ROOT / script).read_bytes()


def test_the_folder_refuses_the_web_by_itself():         # R65
    rules = (ROOT / ".htaccess").read_text(encoding="utf-8")
    assert "Require all denied" in rules                 # Apache 2.4
    assert re.search(r"Order .*\n\s*Deny from all", rules)


def test_a_job_is_one_file_verb_first_that_exposes_its_job_alone_and_has_a_test():
    """Purges that are no more than their rules are tested in one table."""
    names = catalogue.names()
    folder = ROOT / "tests" / "jobs"
    files = {path.stem[len("test_"):] for path in folder.glob("test_*.py")}
    table = (folder / "test_purges.py").read_text(encoding="utf-8")
    assert [name for name in names if name not in files and f'"{name}": Case(' not in table] == []
    named = [(ROOT / path).read_text() for path in ("README.md", "jobs_lib/jobs/__init__.py")]
    for name in names:
        module = tree(modules()[f"jobs_lib.jobs.{name}"])
        defined = {node.name for node in module.body
                   if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        defined |= {target.id for node in module.body if isinstance(node, ast.Assign)
                    for target in node.targets if isinstance(target, ast.Name)}
        assert {word for word in defined if word[0] != "_" and not word.isupper()} == {"job"}
        assert name.partition("_")[0] in VERBS
        said = ast.get_docstring(module) or ""
        assert 0 < len(said.partition("\n")[0]) < 72
        assert "\nKilled or run twice: " in said                # BJ-27
        assert all(re.search(rf"\b{name}\b", text) for text in named)


def test_what_runs_hourly_or_daily_has_a_minute_of_its_own_never_0_nor_by_midnight():
    """What docs/cron.md says under "How the load is spread"."""
    starts = []
    for job in catalogue.load_all():
        parsed = schedule.parse(job.schedule)
        hours = [-1] if parsed.every_hour else parsed.hours
        found = [(hour, at) for hour in hours for at in parsed.minutes]
        starts += found if len(found) == 1 else []
    assert len(starts) > 12
    assert len(set(starts)) == len(starts)
    assert [start for start in starts if start[1] == 0 or start[0] == 0] == []


def test_no_test_knows_more_of_the_inside_than_it_did():
    known = {name: set(packages.split()) for line in INSIDE.read_text().splitlines()
             for name, packages in [line.split(": ")]}
    assert [name for name in known if name.startswith(CLEAN)] == []
    found: dict = {}
    for path in TESTS:
        text = path.read_text(encoding="utf-8")
        whole = re.findall(r"(?m)^\s*(?:from|import) jobs_lib\.(\w+)", text)
        parts = re.findall(r"(?m)^\s*from jobs_lib import (.+)", text)
        found[str(path.relative_to(ROOT))] = {*whole, *(
            name.partition(" as ")[0].strip(" ()") for names in parts for name in names.split(","))}
    assert {name: sorted(more) for name, used in found.items() if name != DOOR
            and (more := used - known.get(name, set()))} == {}
