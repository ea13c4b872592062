"""Plain values are written and read without `json`, and as it does it."""
from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.product import dumps, loads
from tests.support.shell import ROOT

PLAIN = {"time": "2026-11-24 14:30:05", "level": "info", "event": "run ended", "slot": None,
         "counts": {"sent": 0, "retried": 2}, "dry_run": False, "ms": -12}
COUNTS = '{"sent": 0, "failed": 12}'
TEXTS = st.text() | st.sampled_from(['"', "\\", "\x7f", "é", "\u2028", "\ud800", "a\nb", ""])


def values(keys):
    """Any value, its dictionaries with these keys."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner))


@given(values(TEXTS | st.integers() | st.none()))
def test_every_value_is_written_as_json_does(value):            # R10
    assert dumps(value) == json.dumps(value, default=str)


@given(values(TEXTS))       # else 1 and "1" become the same name
def test_what_is_written_is_read_again(value):
    text = dumps(value)
    assert dumps(loads(text)) == text


# near to what is read without `json`, and not of that form
@pytest.mark.parametrize("text", [
    "", "{", "}", "{}", "[]", "[ ]", '{"a": 1, }', '{, "a": 1}', '{"a": 01}', '{"a": 0}',
    '{"a": 1, "a": 2}', '{"a":1}', '{"a": 1,"b": 2}', '{a: 1}', "{'a': 1}", '{"a b": 1}',
    '{"a": -1}', '{"a": 1.5}', '{"a": ²}', '{"ä": 1}', '{"a": true}', '{"a": "1"}', '{"": 1}',
    '{"a": 1}x', ' {"a": 1}', '{"a": 123456789012345678901}', '{"a": {"b": 1}}', "NaN", "null"])
def test_every_text_is_read_as_json_does(text):
    try:
        expected = json.loads(text)
    except ValueError as error:
        with pytest.raises(type(error)):
            loads(text)
    else:
        assert repr(loads(text)) == repr(expected)      # True is no 1


def test_a_plain_value_needs_no_json():         # R10
    code = ("import sys; from jobs_lib.plain_json import dumps, loads; "
            f"print(dumps({PLAIN!r})); loads({COUNTS!r}); print('json' in sys.modules)")
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True,
                          check=True, cwd=ROOT)
    assert done.stdout == json.dumps(PLAIN) + "\nFalse\n"
