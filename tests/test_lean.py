"""What replaces slower parts of the standard library does as they do: named tuples, plain JSON, the
way to a compiled module."""
from __future__ import annotations

import json
import pickle
import py_compile
import subprocess
import sys
from collections import namedtuple as python
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.product import dumps, loads, namedtuple
from tests.support.shell import ROOT

Point, Theirs = (make("Point", "x y z", defaults=(2, 3)) for make in (namedtuple, python))


def run(code: str, *options: str, folder=ROOT) -> str:
    done = subprocess.run([sys.executable, *options, "-c", code], cwd=folder, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_record_is_what_python_makes_of_it():
    for values, named in (((1, 2, 3), {}), ((1,), {}), ((), {"x": 1, "y": None}), ((1,), {"z": 4})):
        ours, theirs = Point(*values, **named), Theirs(*values, **named)
        assert ours == theirs == (ours.x, ours.y, ours.z)
        assert ours._asdict() == theirs._asdict()
        assert (ours._replace(y=7), type(ours._replace(y=7))) == (theirs._replace(y=7), Point)
    with pytest.raises(TypeError, match="no field w"):
        ours._replace(w=1)
    # an app puts what `find_export` returns into its cache
    found = pickle.loads(pickle.dumps(ours))
    assert (found, type(found)) == (ours, Point)


TEXTS = st.text() | st.sampled_from(['"', "\\", "\x7f", "é", "\u2028", "\ud800", "a\nb", ""])


def values(keys):
    """Any value, its dictionaries with these keys."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner))


@given(values(TEXTS | st.integers() | st.none()), values(TEXTS))     # 1 and "1" become one name
def test_every_value_is_written_as_json_does_and_read_again(value, readable):            # R10
    assert dumps(value) == json.dumps(value, default=str)
    assert dumps(loads(dumps(readable))) == dumps(readable)


# near to what is read without `json`, and not of that form
@given(st.text('{}[]:," 01a-.', max_size=12) | st.sampled_from([
    "", '{"a": 1, }', '{, "a": 1}', '{"a": 01}', '{"a": 1, "a": 2}', '{"a": 1,"b": 2}', '{a: 1}',
    "{'a': 1}", '{"a b": 1}', '{"a": ²}', '{"ä": 1}', '{"a": true}', '{"a": 1}x', ' {"a": 1}',
    '{"a": {"b": 1}}', "NaN", '{"a": 123456789012345678901}']))
def test_every_text_is_read_as_json_does(text):
    try:
        expected = json.loads(text)
    except ValueError as error:
        with pytest.raises(type(error)):
            loads(text)
    else:
        assert repr(loads(text)) == repr(expected)      # True is no 1


SOURCE = "value = 1\n\n\ndef function():\n    pass\n"
QUICK = "from jobs_lib import quick_import; quick_import.install(); "
HOW = "from jobs_lib import subject; print(subject.value, type(subject.__loader__).__name__)"


@pytest.fixture
def package(tmp_path):
    """A package `jobs_lib` with the real quick_import.py, and compiled a module `subject` and a
    package `part`."""
    for name, text in (("__init__.py", ""), ("subject.py", SOURCE), ("part/__init__.py", SOURCE),
                       ("quick_import.py", (ROOT / "jobs_lib/quick_import.py").read_text())):
        path = tmp_path / "jobs_lib" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        py_compile.compile(str(path))
    return tmp_path


def test_a_compiled_module_is_read_as_it_is_also_in_a_folder_that_was_moved(package):         # R10
    assert run(QUICK + HOW, "-B", folder=package) == "1 _Loader\n"
    path = package / "jobs_lib" / "subject.py"
    py_compile.compile(str(path), dfile="/old/subject.py")              # before `mv` or `cp -a`
    look = "; print(subject.function.__code__.co_filename, subject.__file__)"
    assert run(QUICK + HOW + look, "-B", folder=package) == f"1 _Loader\n{path} {path}\n"


def compiled(path: Path) -> Path:
    return Path(cache_from_source(str(path)))


@pytest.mark.parametrize("spoil, value", [
    (lambda path: path.write_text("value = 20\n"), 20),             # another size
    (lambda path: compiled(path).unlink(), 1),
    # of another Python
    (lambda path: compiled(path).write_bytes(b"\0\0" + compiled(path).read_bytes()[2:]), 1)],
    ids=range(3))
def test_what_was_not_compiled_from_this_source_is_not_used(package, spoil, value):
    spoil(package / "jobs_lib" / "subject.py")
    assert run(QUICK + HOW, "-B", folder=package) == f"{value} SourceFileLoader\n"
