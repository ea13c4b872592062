"""A module that is found by the shorter way is the same as one that Python finds."""
from __future__ import annotations

import os
import py_compile
import subprocess
import sys
from importlib.util import cache_from_source

import pytest

from tests.support.shell import ROOT

SOURCE = "value = 1\n\n\ndef function():\n    pass\n"


@pytest.fixture
def interpreter(tmp_path):
    """A package `jobs_lib` with the real quick_import.py, and compiled a module `subject` and a
    package `part`; a function that runs code with them."""
    for name, text in (("__init__.py", ""), ("subject.py", SOURCE), ("part/__init__.py", SOURCE),
                       ("quick_import.py", (ROOT / "jobs_lib/quick_import.py").read_text())):
        path = tmp_path / "jobs_lib" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name in ("subject.py", "part/__init__.py"):
        py_compile.compile(str(tmp_path / "jobs_lib" / name))

    def run(code: str, *options: str, quick: bool = True) -> str:
        start = "from jobs_lib import quick_import; quick_import.install(); " if quick else ""
        done = subprocess.run([sys.executable, "-B", *options, "-c", start + code], cwd=tmp_path,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


LOOK = ("import inspect, jobs_lib.subject as subject, jobs_lib.part as part; "
        "print(*((each.__name__, each.__file__, each.__cached__, each.__package__, "
        "getattr(each, '__path__', None), each.__spec__.origin, each.__spec__.parent, "
        "each.__spec__.submodule_search_locations, each.__spec__.has_location, "
        "each.__loader__.get_data(each.__file__), inspect.getsource(each), "
        "each.__loader__.get_code(each.__name__).co_filename, each.value, "
        "each.function.__code__.co_filename)"
        " for each in (subject, part)))")


def test_a_module_has_all_that_python_gives_it(interpreter):         # R10
    assert interpreter(LOOK) == interpreter(LOOK, quick=False)


def test_what_was_compiled_under_another_path_names_its_file_of_now(interpreter, tmp_path):
    # as after `mv` or `cp -a` of the folder
    path = tmp_path / "jobs_lib" / "subject.py"
    py_compile.compile(str(path), dfile="/old/subject.py")
    assert interpreter("from jobs_lib import subject; "
                       "print(subject.function.__code__.co_filename, "
                       "type(subject.__loader__).__name__)") == f"{path} _Loader\n"


QUICK = "; print(subject.value, type(subject.__loader__).__name__)"


def test_a_compiled_module_takes_the_shorter_way(interpreter):      # R10
    assert interpreter("from jobs_lib import subject" + QUICK) == "1 _Loader\n"
    assert interpreter("from jobs_lib import part as subject" + QUICK) == "1 _Loader\n"


def change(path: str) -> None:
    with open(path, "w") as file:
        file.write("value = 20\n")


@pytest.mark.parametrize("spoil, value", [
    (change, 20), (lambda path: os.unlink(cache_from_source(path)), 1)],
    ids=["another size", "none"])
def test_what_was_compiled_from_another_source_is_not_used(interpreter, tmp_path, spoil, value):
    spoil(str(tmp_path / "jobs_lib" / "subject.py"))
    assert interpreter("from jobs_lib import subject" + QUICK) == f"{value} SourceFileLoader\n"


def test_a_compiled_file_of_another_python_is_not_used(interpreter, tmp_path):
    path = cache_from_source(str(tmp_path / "jobs_lib" / "subject.py"))
    with open(path, "r+b") as file:
        file.write(b"\0\0")
    assert interpreter("from jobs_lib import subject" + QUICK) == "1 SourceFileLoader\n"
