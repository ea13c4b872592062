"""What every file keeps to: a docstring, Python 3.9, clean shell scripts."""
from __future__ import annotations

import ast
import glob
import re
import subprocess
import sys
import tokenize
from importlib.util import find_spec

import pytest

from tests.house.source import ROOT, each, modules, tree, where
from tests.support.require import missing, program

OURS = sorted([*modules().values(), *(ROOT / "tests").rglob("*.py")])
NAMED = re.compile(r"(?<![\w*./-])(?:[\w.]+/)*(\w+\.py)\b")
SCRIPTS = ("install.sh", ".ci/run")


@each("path", [path for path in OURS if path.read_text(encoding="utf-8").strip()])
def test_a_module_says_what_it_is(path):
    doc = ast.get_docstring(tree(path)) or ""
    assert doc.partition("\n")[0].strip()


def test_a_file_that_a_comment_or_docstring_names_is_there():
    names = {path.name for path in OURS} | {path.name for path in (ROOT / "docs").rglob("*.py")}
    wrong = [f"{where(path, token.start[0])}: {name}" for path in OURS
             for token in remarks(path) for name in NAMED.findall(token.string)
             if name not in names]
    assert wrong == []


def test_every_requirement_that_a_test_names_is_listed():
    listed = set(re.findall(r"^- \*\*(R\d+)\*\* ",
                            (ROOT / "tests/REQUIREMENTS.md").read_text(encoding="utf-8"), re.M))
    named = {number for path in OURS if path.is_relative_to(ROOT / "tests")
             for token in remarks(path) for number in re.findall(r"\bR\d{1,2}\b", token.string)}
    assert named - listed == set()


def remarks(path):
    """The comments and the docstrings of a file, as tokens."""
    with path.open("rb") as file:
        found = [token for token in tokenize.tokenize(file.readline)
                 if token.type in (tokenize.COMMENT, tokenize.STRING)]
    return [token for token in found
            if token.type == tokenize.COMMENT or token.string.startswith(('"""', 'r"""'))]


@pytest.mark.slow
def test_the_code_runs_on_python_3_9():
    if find_spec("vermin") is None:
        missing("vermin is not installed (requirements-dev.txt)")
    run = subprocess.run([sys.executable, "-c", "import vermin; vermin.main()", "--target=3.9-",
                          "--no-tips", "--violations", "jobs.py", "jobs_lib"], cwd=ROOT,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@each("name", sorted(name for name in modules() if name != "jobs_lib.clock"))
def test_time_is_given_never_taken(name):
    """Only the clock asks what time it is; `time.monotonic` measures, and may be asked anywhere."""
    calls = [node for node in ast.walk(tree(modules()[name])) if isinstance(node, ast.Call)
             and ast.unparse(node.func) in ("time.time", "datetime.now", "datetime.utcnow",
                                            "datetime.today", "date.today", "datetime.datetime.now",
                                            "datetime.date.today")]
    assert [where(modules()[name], node.lineno) for node in calls] == []


def test_ci_names_no_file_that_is_missing():
    named = re.findall(r"tests/[\w/.*]+", (ROOT / ".ci" / "run").read_text())
    assert [name for name in named if not glob.glob(str(ROOT / name))] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell_scripts_are_clean(script):
    shellcheck = program("shellcheck", "shellcheck")
    run = subprocess.run([shellcheck, str(ROOT / script)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert b"\r" not in (ROOT / script).read_bytes()


def test_the_folder_refuses_the_web_by_itself():         # R65
    rules = (ROOT / ".htaccess").read_text(encoding="utf-8")
    assert "Require all denied" in rules                 # Apache 2.4
    assert re.search(r"Order .*\n\s*Deny from all", rules)
